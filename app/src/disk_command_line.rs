//! The grammar of `guesthouse disk`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What can be done with a disk image.
#[derive(Debug, Subcommand)]
pub enum DiskCommand {
    /// Make an empty disk, or one that holds only what differs from another
    Create(CreateDisk),
    /// Show what an image is, and what it is based on
    Info(OneImage),
    /// Look for what is wrong with an image
    Check(OneImage),
    /// Mend a qcow2 image, after its tables were copied to a file beside it
    Repair(RepairDisk),
    /// Make a disk larger, or smaller where nothing is lost
    Resize(ResizeDisk),
    /// Give space that a disk does not need any more back to this computer
    Compact(CompactDisk),
    /// Copy a disk to an image of another format; also takes a disk out of an OVA file
    Convert(ConvertDisk),
    /// Copy an image as it is, without taking space twice where the file system can share it
    Clone(CloneDisk),
    /// Base an image on another one, or on none
    Rebase(RebaseDisk),
    /// Move what an image holds into the one that it is based on
    Commit(CommitDisk),
    /// Compare the content of two disks
    Compare(CompareDisks),
}

/// An image that is given.
#[derive(Debug, Args)]
pub struct Given {
    /// Its format: raw, qcow2, vmdk, vdi, vhd or vhdx [default: by its content]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
    /// A file that it may take data from, besides those in its own folder; may be given several times
    #[arg(long, value_name = "FILE")]
    pub backing: Vec<PathBuf>,
}

/// An image.
#[derive(Debug, Args)]
pub struct OneImage {
    /// The image
    pub file: PathBuf,
    /// How to open it.
    #[command(flatten)]
    pub given: Given,
}

/// What a new image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NewFormat {
    /// Byte for byte
    Raw,
    /// QEMU's
    Qcow2,
    /// VMware's for exchange (stream-optimised)
    Vmdk,
}

/// How much space is taken at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PreallocationChoice {
    /// None
    Off,
    /// The tables
    Metadata,
    /// All, without writing it
    Falloc,
    /// All, written
    Full,
}

/// How a new disk is to be.
#[derive(Debug, Args)]
pub struct CreateDisk {
    /// The new image
    pub file: PathBuf,
    /// The size of the disk (20G); with --base that of the other one where nothing is said
    #[arg(required_unless_present = "base")]
    pub size: Option<String>,
    /// Its format [default: qcow2, or raw where the file's name ends in .raw or .img]
    #[arg(long, value_enum)]
    pub format: Option<NewFormat>,
    /// The size of its clusters (64K), for qcow2
    #[arg(long, value_name = "SIZE")]
    pub cluster_size: Option<String>,
    /// How much of its space is taken at once
    #[arg(long, value_enum, default_value = "off", conflicts_with = "base")]
    pub preallocation: PreallocationChoice,
    /// The image that it is based on, which must not change any more
    #[arg(long, value_name = "IMAGE", conflicts_with_all = ["format", "cluster_size"])]
    pub base: Option<PathBuf>,
    /// The format of the base [default: by its content]
    #[arg(long, value_name = "FORMAT", requires = "base")]
    pub base_format: Option<String>,
}

/// What to mend.
#[derive(Debug, Args)]
pub struct RepairDisk {
    /// The image
    pub file: PathBuf,
    /// Also mend damage: entries that lead nowhere are taken out, and what the guest had stored there reads as zeros
    #[arg(long)]
    pub damage: bool,
}

/// How large to make a disk.
#[derive(Debug, Args)]
pub struct ResizeDisk {
    /// The image
    pub file: PathBuf,
    /// Its new size (40G), or what is to be added (+20G)
    pub size: String,
    /// Cut off what lies behind the new end
    #[arg(long)]
    pub force: bool,
    /// How to open it.
    #[command(flatten)]
    pub given: Given,
}

/// What to compact.
#[derive(Debug, Args)]
pub struct CompactDisk {
    /// The image
    pub file: PathBuf,
    /// Compress it as well, for qcow2
    #[arg(long)]
    pub compress: bool,
    /// How to open it.
    #[command(flatten)]
    pub given: Given,
}

/// What to copy to what.
#[derive(Debug, Args)]
pub struct ConvertDisk {
    /// The image, or an OVA or OVF file
    pub source: PathBuf,
    /// The new image
    pub target: PathBuf,
    /// Its format [default: by the end of its name: .raw, .img, .vmdk; else qcow2]
    #[arg(long, value_enum)]
    pub to: Option<NewFormat>,
    /// The size of its clusters (64K), for qcow2
    #[arg(long, value_name = "SIZE")]
    pub cluster_size: Option<String>,
    /// Compress it, for qcow2
    #[arg(long)]
    pub compress: bool,
    /// Read the copy again and compare it
    #[arg(long)]
    pub verify: bool,
    /// Let it take the place of a file of that name
    #[arg(long)]
    pub replace: bool,
    /// An internal snapshot of the source, by name or number, instead of its present state
    #[arg(long, value_name = "NAME")]
    pub snapshot: Option<String>,
    /// Which disk of an OVA or OVF file, counting from 1
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub disk: u16,
    /// How to open the source.
    #[command(flatten)]
    pub given: Given,
}

/// What to copy to what.
#[derive(Debug, Args)]
pub struct CloneDisk {
    /// The image
    pub source: PathBuf,
    /// The new image
    pub target: PathBuf,
}

/// What to base on what.
#[derive(Debug, Args)]
pub struct RebaseDisk {
    /// The image
    pub file: PathBuf,
    /// What it is to be based on
    #[arg(long, value_name = "IMAGE", required_unless_present = "flatten")]
    pub base: Option<PathBuf>,
    /// The format of the base [default: by its content]
    #[arg(long, value_name = "FORMAT", requires = "base")]
    pub base_format: Option<String>,
    /// Base it on no other image
    #[arg(long, conflicts_with = "base")]
    pub flatten: bool,
    /// Change the name alone: for a base that was moved. If it has another content, so has the disk
    #[arg(long = "unsafe")]
    pub name_only: bool,
    /// A file that it may take data from, besides those in its own folder; may be given several times
    #[arg(long, value_name = "FILE")]
    pub backing: Vec<PathBuf>,
}

/// What to commit.
#[derive(Debug, Args)]
pub struct CommitDisk {
    /// The image; nothing else may be based on the one beneath it
    pub file: PathBuf,
    /// Remove it afterwards instead of emptying it
    #[arg(long)]
    pub remove: bool,
    /// A file that it may take data from, besides those in its own folder; may be given several times
    #[arg(long, value_name = "FILE")]
    pub backing: Vec<PathBuf>,
}

/// What to compare.
#[derive(Debug, Args)]
pub struct CompareDisks {
    /// One image
    pub one: PathBuf,
    /// The other image
    pub other: PathBuf,
    /// A file that they may take data from, besides those in their own folders; may be given several times
    #[arg(long, value_name = "FILE")]
    pub backing: Vec<PathBuf>,
}
