//! Disk images: what a guest's drive reads and writes ends in one of these.

mod image;

pub use image::{Image, ImageError};
