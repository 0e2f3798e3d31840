//! The vocabulary of callmeter's data path and its Arrow schemas.
