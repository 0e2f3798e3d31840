//! A PortSIP PBX client: tenant billing, balance, call rates.
