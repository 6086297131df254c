//! A packed segment: the rows of a sealed one in compressed blocks, under the offsets they had.
//!
//! `magic, format u16, created i64`, then zstd blocks of [`BLOCK`] bytes of rows each, then
//! `(offset u64, length u32, crc u32)` a block and a foot. Offsets behind the header are those of
//! the plain segment, so an index serves both. A damaged block reads as zeros: no row is there,
//! and those in other blocks are found.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use viaduct_base::Timestamp;

use crate::frame::{u32_at, u64_at};
use crate::segment::{self, SEGMENT_HEADER};

const MAGIC: &[u8; 6] = b"VDPACK";
const FORMAT: u16 = 1;
const FOOT_MAGIC: &[u8; 8] = b"VDPACKF1";
const FOOT: u64 = 24;
const ENTRY: usize = 16;
/// Why: one row costs the reading of one block, and zstd gains little from larger ones.
const BLOCK: usize = 256 * 1024;
const LEVEL: i32 = 3;

#[derive(Debug, Clone, Copy)]
struct Block {
    at: u64,
    length: u32,
    crc: u32,
}

/// Where the blocks of a packed segment are.
#[derive(Debug, Clone)]
pub(crate) struct Pack {
    pub(crate) generation: u32,
    pub(crate) created: Timestamp,
    /// Where the rows would end in a plain segment.
    pub(crate) end: u64,
    /// The file's length.
    pub(crate) bytes: u64,
    blocks: Arc<[Block]>,
}

pub(crate) fn file_name(number: u64, generation: u32) -> String {
    format!("seg-{number:010}-{generation:04}.zst")
}

impl Pack {
    /// Reads the foot; an error of kind `InvalidData` for a file that is not whole.
    pub(crate) fn open(path: &Path, generation: u32) -> io::Result<Self> {
        let bad = || io::Error::from(io::ErrorKind::InvalidData);
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let foot_at = bytes.checked_sub(FOOT).ok_or_else(bad)?;
        let mut foot = [0; FOOT as usize];
        file.read_exact_at(&mut foot, foot_at)?;
        let mut head = [0; SEGMENT_HEADER as usize];
        file.read_exact_at(&mut head, 0)?;
        let is_ours = &foot[16..] == FOOT_MAGIC
            && &head[..6] == MAGIC
            && u16::from_le_bytes([head[6], head[7]]) == FORMAT;
        let count = u32_at(&foot, 8) as usize;
        let start = foot_at.checked_sub((count * ENTRY) as u64).filter(|_| is_ours);
        let start = start.ok_or_else(bad)?;
        let mut directory = vec![0; count * ENTRY];
        file.read_exact_at(&mut directory, start)?;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&directory), &foot[..12]);
        if crc != u32_at(&foot, 12) {
            return Err(bad());
        }
        let block = |entry: &[u8]| Block {
            at: u64_at(entry, 0),
            length: u32_at(entry, 8),
            crc: u32_at(entry, 12),
        };
        Ok(Self {
            generation,
            created: Timestamp::from_micros(u64_at(&head, 8) as i64),
            end: u64_at(&foot, 0),
            bytes,
            blocks: directory.chunks_exact(ENTRY).map(block).collect(),
        })
    }
}

/// Writes a packed segment under a temporary name, with the memory of one block.
#[derive(Debug)]
pub(crate) struct Packer {
    file: BufWriter<File>,
    path: PathBuf,
    generation: u32,
    created: Timestamp,
    block: Vec<u8>,
    blocks: Vec<Block>,
    at: u64,
    end: u64,
}

impl Packer {
    pub(crate) fn begin(
        dir: &Path,
        number: u64,
        generation: u32,
        created: Timestamp,
    ) -> io::Result<Self> {
        let path = dir.join(file_name(number, generation));
        let mut file = BufWriter::new(File::create(temporary(&path))?);
        file.write_all(MAGIC)?;
        file.write_all(&FORMAT.to_le_bytes())?;
        file.write_all(&created.as_micros().to_le_bytes())?;
        let (block, blocks) = (Vec::with_capacity(BLOCK), Vec::new());
        let (at, end) = (SEGMENT_HEADER, SEGMENT_HEADER);
        Ok(Self { file, path, generation, created, block, blocks, at, end })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next byte would stand in a plain segment.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        self.end += bytes.len() as u64;
        while !bytes.is_empty() {
            let take = bytes.len().min(BLOCK - self.block.len());
            self.block.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.block.len() == BLOCK {
                self.put_block()?;
            }
        }
        Ok(())
    }

    fn put_block(&mut self) -> io::Result<()> {
        let packed = zstd::bulk::compress(&self.block, LEVEL)?;
        self.file.write_all(&packed)?;
        let (length, crc) = (packed.len() as u32, crc32c::crc32c(&packed));
        self.blocks.push(Block { at: self.at, length, crc });
        self.at += packed.len() as u64;
        self.block.clear();
        Ok(())
    }

    /// The file is on the disk when this returns, still under its temporary name.
    pub(crate) fn finish(mut self) -> io::Result<Pack> {
        if !self.block.is_empty() {
            self.put_block()?;
        }
        let mut directory = Vec::with_capacity(self.blocks.len() * ENTRY + FOOT as usize);
        for block in &self.blocks {
            directory.extend_from_slice(&block.at.to_le_bytes());
            directory.extend_from_slice(&block.length.to_le_bytes());
            directory.extend_from_slice(&block.crc.to_le_bytes());
        }
        let mut foot = self.end.to_le_bytes().to_vec();
        foot.extend_from_slice(&(self.blocks.len() as u32).to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&directory), &foot);
        directory.extend_from_slice(&foot);
        directory.extend_from_slice(&crc.to_le_bytes());
        directory.extend_from_slice(FOOT_MAGIC);
        self.file.write_all(&directory)?;
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        let bytes = self.at + directory.len() as u64;
        let (generation, created, end) = (self.generation, self.created, self.end);
        Ok(Pack { generation, created, end, bytes, blocks: self.blocks.into() })
    }
}

/// Gives a finished file its name: from here on it is the segment.
pub(crate) fn publish(path: &Path) -> io::Result<()> {
    fs::rename(temporary(path), path)?;
    match path.parent() {
        Some(dir) => File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

/// Removes what a failed attempt left.
pub(crate) fn discard(path: &Path) {
    // Best effort: the next start removes what is not a segment.
    let _ = fs::remove_file(temporary(path));
    let _ = fs::remove_file(segment::index_path(path));
}

fn temporary(path: &Path) -> PathBuf {
    path.with_extension("zst.tmp")
}

/// Reads rows of a plain or packed segment by their offsets.
#[derive(Debug)]
pub(crate) enum Reader {
    Plain(File),
    Packed(Unpacker),
}

impl Reader {
    pub(crate) fn packed(file: File, pack: &Pack) -> Self {
        let (blocks, end) = (Arc::clone(&pack.blocks), pack.end);
        Reader::Packed(Unpacker { file, blocks, end, held: None, bytes: Vec::new() })
    }

    pub(crate) fn read_exact_at(&mut self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Reader::Plain(file) => file.read_exact_at(buffer, at),
            Reader::Packed(unpacker) => unpacker.read_exact_at(buffer, at),
        }
    }
}

/// One block of a packed segment at a time.
#[derive(Debug)]
pub(crate) struct Unpacker {
    file: File,
    blocks: Arc<[Block]>,
    end: u64,
    held: Option<usize>,
    bytes: Vec<u8>,
}

impl Unpacker {
    fn read_exact_at(&mut self, mut buffer: &mut [u8], at: u64) -> io::Result<()> {
        let mut place = at
            .checked_sub(SEGMENT_HEADER)
            .filter(|place| place + buffer.len() as u64 <= self.end - SEGMENT_HEADER)
            .ok_or(io::ErrorKind::UnexpectedEof)? as usize;
        while !buffer.is_empty() {
            self.hold(place / BLOCK)?;
            let start = place % BLOCK;
            let take = buffer.len().min(self.bytes.len() - start);
            let (now, later) = buffer.split_at_mut(take);
            now.copy_from_slice(&self.bytes[start..start + take]);
            (buffer, place) = (later, place + take);
        }
        Ok(())
    }

    fn hold(&mut self, number: usize) -> io::Result<()> {
        if self.held == Some(number) {
            return Ok(());
        }
        let block = *self.blocks.get(number).ok_or(io::ErrorKind::UnexpectedEof)?;
        let start = (number * BLOCK) as u64;
        let length = (self.end - SEGMENT_HEADER - start).min(BLOCK as u64) as usize;
        self.held = None;
        let mut packed = vec![0; block.length as usize];
        self.file.read_exact_at(&mut packed, block.at)?;
        let is_sound = crc32c::crc32c(&packed) == block.crc;
        let bytes = is_sound.then(|| zstd::bulk::decompress(&packed, length).ok()).flatten();
        self.bytes = bytes.unwrap_or_default();
        self.bytes.resize(length, 0);
        self.held = Some(number);
        Ok(())
    }
}
