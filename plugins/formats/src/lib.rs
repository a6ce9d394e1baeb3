//! jq
