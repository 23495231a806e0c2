//! What the whole-machine and whole-program tests share.
