// SPDX-License-Identifier: GPL-2.0

//! The page cache: inodes whose pages exist in memory only, and the folios that hold them.

pub mod address_space;
pub mod folio;
mod hole;
pub mod inode;
pub mod insert;
mod pins;
mod poison;
pub mod seals;
mod search;
pub mod zero_page;
