//! Both upstream APIs as a server with a seeded world, faults and a ledger.
