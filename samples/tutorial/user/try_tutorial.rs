// SPDX-License-Identifier: GPL-2.0

//! Maps /dev/rust_mm_tutorial three times and shows who sees what.

#![forbid(unsafe_code)]

use rmmap_sys::{Errno, MapOptions, Mapping, PAGE_SIZE};
use std::{error::Error, fs::File};

/// The number of pages that are in memory.
fn resident(mapping: &Mapping) -> Result<usize, Errno> {
    let pages = mapping.mincore(0, mapping.len())?;
    Ok(pages.iter().filter(|is_there| **is_there).count())
}

fn main() -> Result<(), Box<dyn Error>> {
    let file = File::options()
        .read(true)
        .write(true)
        .open("/dev/rust_mm_tutorial")?;
    let map = MapOptions::new(256 * PAGE_SIZE);
    let first = map.map(&file)?;
    println!("mapped: {} pages", resident(&first)?);
    first.touch_write(1, 42)?;
    println!("after one store: {}", resident(&first)?);

    let second = map.map(&file)?;
    println!("another mapping reads {}", second.touch_read(1)?);
    let private = map.private().map(&file)?;
    private.touch_write(1, 7)?;
    println!(
        "after a private store, the others read {}",
        first.touch_read(1)?
    );
    Ok(())
}
