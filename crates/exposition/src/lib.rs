//! Prometheus exposition of a snapshot: text, OpenMetrics, protobuf.
