//! ServiceStack's JSV text format for serde.
