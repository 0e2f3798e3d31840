//! The SDK for authors of callmeter output plugins.
