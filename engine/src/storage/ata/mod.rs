//! What ATA and ATAPI drives are, whatever their cable: registers, what they say of themselves, a hard disk's commands.
//! ATA/ATAPI-6 (T13 1410D). IDE and AHCI put the data where it goes.

pub(in crate::storage) mod disk;
pub(in crate::storage) mod identify;
pub(in crate::storage) mod packet;
pub(in crate::storage) mod task_file;
