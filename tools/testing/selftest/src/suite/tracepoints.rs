// SPDX-License-Identifier: GPL-2.0

//! The module's tracepoints, `rmmap:*`: they record each event, and no other.

use crate::context::{Context, P};
use crate::outcome::{Result, Stop};
use crate::tracing::Tracepoints;
use crate::{cases, check, check_eq, check_err, check_sigbus};
use rmmap_sys::rustix::fs::{fstat, ftruncate};
use rmmap_sys::rustix::mm::MapFlags;
use rmmap_sys::uapi::{RMMAP_CREATE_NEVER, RMMAP_HOOK_PREPARE};
use rmmap_sys::{Device, Errno, MapOptions};

cases! {
    Rmmap tracepoints_of_a_region [] "rmmap:create, truncate, discard: the region, and the range";
    Rmmap tracepoints_of_a_mapping [] "rmmap:mmap: address, length, offset, flags, hook and result, of a success and of an error";
    Rmmap tracepoints_of_faults [] "rmmap:fault, populate, map_pages: the page, the access, and the answer";
}

/// Creates a region of this many pages in single pages; returns its inode number in events, too.
fn region(cx: &Context, pages: usize) -> Result<(Device, u64)> {
    let region = cx
        .device()?
        .create((pages * P) as u64, RMMAP_CREATE_NEVER)?;
    let ino = fstat(&region)?.st_ino;
    Ok((region, ino))
}

/// Returns the value of a field.
fn field<'a>(event: &'a str, name: &str) -> Result<&'a str> {
    let mut fields = event.split(' ').filter_map(|field| field.split_once('='));
    let found = fields.find(|(found, _)| *found == name);
    found
        .map(|(_, value)| value)
        .ok_or_else(|| Stop::fail(format_args!("no {name} in {event:?}")))
}

fn tracepoints_of_a_region(cx: &Context) -> Result {
    let events = Tracepoints::record()?;
    let (region, ino) = region(cx, 16)?;
    let flags = RMMAP_CREATE_NEVER;
    let size = 16 * P;
    let created = format!("create: ino={ino} size={size:#x} flags={flags:#x}");
    check_eq!(events.take()?, [created]);
    let m = MapOptions::new(16 * P).map(&region)?;
    for page in [1, 2, 9] {
        m.touch_write(page, 1)?;
    }
    events.take()?;
    region.discard(P as u64, 4 * P as u64)?;
    let len = 4 * P;
    let discarded = format!("discard: ino={ino} offset={P:#x} len={len:#x} freed=2");
    check_eq!(events.take()?, [discarded]);
    ftruncate(&region, 5000)?;
    let end = 3 * P;
    ftruncate(&region, end as u64)?;
    let truncated = [
        format!("truncate: ino={ino} from={size:#x} to=0x1388 freed=1"),
        format!("truncate: ino={ino} from=0x1388 to={end:#x} freed=0"),
    ];
    check_eq!(events.take()?, truncated);
    Ok(())
}

fn tracepoints_of_a_mapping(cx: &Context) -> Result {
    let (region, ino) = region(cx, 8)?;
    let device = cx.device()?;
    let (info, its_ino) = (device.info()?, device_ino(cx)?);
    let hook = match info.hook {
        RMMAP_HOOK_PREPARE => "mmap_prepare",
        _ => "mmap",
    };
    let events = Tracepoints::record()?;
    let len = 5 * P;
    let m = MapOptions::new(len - 1).offset(2 * P as u64).map(&region)?;
    let address = m.address();
    let mapped = format!(
        "mmap: ino={ino} address={address:#x} len={len:#x} pgoff=0x2 \
         vm_flags=read|write|shared|mayread|maywrite|mayexec|mayshare hook={hook} ret=0"
    );
    // Ignores VM_SOFTDIRTY, which some kernels set.
    check_eq!(known(&events.take()?)?, [mapped]);
    let beyond = MapOptions::new(P).offset(info.capacity).private();
    check_err!(beyond.map(device), Errno::NXIO);
    let events = events.take()?;
    check_eq!(events.len(), 1, "{events:?}");
    let refused = &events[0];
    check_eq!(field(refused, "ino")?, its_ino.to_string());
    check_eq!(
        field(refused, "pgoff")?,
        format!("{:#x}", info.capacity / P as u64)
    );
    check_eq!(field(refused, "ret")?, "-6");
    Ok(())
}

/// Removes flags without a name from events.
fn known(events: &[String]) -> Result<Vec<String>> {
    let without = |event: &String| {
        let flags = field(event, "vm_flags")?;
        let named: Vec<_> = flags
            .split('|')
            .filter(|flag| !flag.starts_with("0x"))
            .collect();
        Ok(event.replace(flags, &named.join("|")))
    };
    events.iter().map(without).collect()
}

/// Returns the number of the device's own region, which no file shows: a touch records it.
fn device_ino(cx: &Context) -> Result<u64> {
    let events = Tracepoints::record()?;
    let m = MapOptions::new(P).map(cx.device()?)?;
    m.touch_write(0, 1)?;
    let events = events.take()?;
    let fault = events.iter().find(|event| event.starts_with("fault: "));
    let fault = fault.ok_or_else(|| Stop::fail(format_args!("no fault in {events:?}")))?;
    let ino = field(fault, "ino")?;
    ino.parse()
        .map_err(|_| Stop::fail(format_args!("{ino:?} is no inode number")))
}

/// Checks that the fault-around window contains the page, and no page of another mapping.
fn check_looked(event: &str, address: &str, page: u64, answer: &str) -> Result {
    check_eq!(event.split(": ").next(), Some("map_pages"), "{event:?}");
    check_eq!(field(event, "address")?, address);
    check_eq!(field(event, "answer")?, answer);
    let number = |name| -> Result<u64> {
        let hex = field(event, name)?.trim_start_matches("0x");
        u64::from_str_radix(hex, 16).map_err(|_| Stop::fail(format_args!("{name}? {event:?}")))
    };
    let (first, last) = (number("first")?, number("last")?);
    check!(first <= page && page <= last && last < 8, "{event:?}");
    Ok(())
}

fn tracepoints_of_faults(cx: &Context) -> Result {
    let (region, ino) = region(cx, 8)?;
    let whole = MapOptions::new(8 * P);
    let m = whole.map(&region)?;
    let private = whole.private().map(&region)?;
    let events = Tracepoints::record()?;
    let told = |what: &[&str]| -> Result {
        let told = events.take()?;
        check_eq!(told.len(), what.len(), "{told:?}");
        for (told, what) in told.iter().zip(what) {
            let mut words = what.split(' ');
            let event = words.next().unwrap_or_default();
            check_eq!(told.split(": ").next(), Some(event), "{told:?}");
            for (name, value) in words.filter_map(|word| word.split_once('=')) {
                check_eq!(field(told, name)?, value, "{name} of {told:?}");
            }
        }
        Ok(())
    };
    let at = |m: &rmmap_sys::Mapping, page: usize| format!("{:#x}", m.address_of(page * P));
    let of = format!("ino={ino}");

    m.touch_write(3, 7)?;
    let address = at(&m, 3);
    told(&[&format!(
        "fault {of} address={address} pgoff=0x3 access=write answer=new order=0"
    )])?;
    // A read fault maps around first, within the mapping and the page table.
    check_eq!(private.touch_read(3)?, 7);
    let looked = events.take()?;
    check_eq!(looked.len(), 1, "{looked:?}");
    check_looked(&looked[0], &at(&private, 3), 3, "mapped")?;
    check_eq!(private.touch_read(4)?, 0);
    let (address, looked) = (at(&private, 4), events.take()?);
    check_eq!(looked.len(), 2, "{looked:?}");
    check_looked(&looked[0], &address, 4, "none")?;
    for (name, value) in [
        ("address", address.as_str()),
        ("pgoff", "0x4"),
        ("access", "read"),
        ("answer", "new"),
    ] {
        check_eq!(field(&looked[1], name)?, value, "{looked:?}");
    }
    private.touch_write(5, 1)?;
    let address = at(&private, 5);
    told(&[&format!(
        "fault {of} address={address} pgoff=0x5 access=cow answer=zero order=0"
    )])?;
    m.touch_write(4, 1)?;
    let address = at(&m, 4);
    told(&[&format!(
        "fault {of} address={address} pgoff=0x4 access=write answer=cached order=0"
    )])?;

    let populated = whole.offset(0).flags(MapFlags::POPULATE).map(&region)?;
    let all = events.take()?;
    let wanted: Vec<_> = all
        .iter()
        .filter(|event| event.starts_with("populate: "))
        .collect();
    // The populate records all pages but 3 and 4, which are present: fault-around finds them.
    check_eq!(wanted.len(), 6, "{all:?}");
    for (event, page) in wanted.iter().zip([0, 1, 2, 5, 6, 7]) {
        check_eq!(field(event, "address")?, at(&populated, page), "{event}");
        check_eq!(field(event, "answer")?, "new", "{event}");
        let by_a_program = field(event, "flags")?.split('|').any(|flag| flag == "USER");
        check!(!by_a_program, "{event}");
    }

    ftruncate(&region, P as u64)?;
    events.take()?;
    check_sigbus!(m.touch_write(2, 1), m.address_of(2 * P));
    let address = at(&m, 2);
    told(&[&format!(
        "fault {of} address={address} pgoff=0x2 access=write answer=sigbus order=0"
    )])?;
    Ok(())
}
