//! A HostedSuite client: call-allowance balances, call records, clients.
