//! The windows of Guesthouse.
