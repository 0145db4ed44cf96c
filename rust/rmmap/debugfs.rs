// SPDX-License-Identifier: GPL-2.0

//! The files in `/sys/kernel/debug/rmmap`.
//!
//! - `policy`: the device's folio policy, which can be read and changed. It has the format of
//!   `/sys/kernel/mm/transparent_hugepage/enabled`: `never [adaptive] always`.
//! - `statistics`: whether the module counts, `compiled in` or `compiled out`.

use crate::{
    device::Device,
    policy::Policy,
    stats::COUNTED, //
};
use kernel::{
    debugfs::{
        Dir,
        File,
        Reader,
        Writer, //
    },
    fmt,
    prelude::*,
    sync::Arc,
    uaccess::UserSliceReader, //
};

/// The policies by name.
const NAMES: [(&str, Policy); 3] = [
    ("never", Policy::Never),
    ("adaptive", Policy::Adaptive),
    ("always", Policy::Always),
];

/// The file `policy`.
struct DevicePolicy(Arc<Device>);

impl Writer for DevicePolicy {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let current = self.0.policy.get();
        for (number, (name, policy)) in NAMES.iter().enumerate() {
            let space = if number == 0 { "" } else { " " };
            if *policy == current {
                write!(f, "{space}[{name}]")?;
            } else {
                write!(f, "{space}{name}")?;
            }
        }
        writeln!(f)
    }
}

impl Reader for DevicePolicy {
    fn read_from_slice(&self, reader: &mut UserSliceReader) -> Result {
        let mut buffer = [0; 16];
        let text = buffer.get_mut(..reader.len()).ok_or(EINVAL)?;
        reader.read_slice(text)?;
        let text = core::str::from_utf8(text).map_err(|_| EINVAL)?.trim();
        let (_, policy) = NAMES.iter().find(|(name, _)| *name == text).ok_or(EINVAL)?;
        self.0.policy.set(*policy);
        Ok(())
    }
}

/// The file `statistics`.
struct Statistics;

impl Writer for Statistics {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "compiled {}", if COUNTED { "in" } else { "out" })
    }
}

/// The files, which exist while the module is loaded. Without debugfs there are none.
#[pin_data]
pub(crate) struct Files {
    #[pin]
    policy: File<DevicePolicy>,
    #[pin]
    statistics: File<Statistics>,
    // Dropped after its files.
    dir: Dir,
}

impl Files {
    pub(crate) fn new(device: Arc<Device>) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(move || {
            let dir = Dir::new(c"rmmap");
            Ok(try_pin_init!(Self {
                policy <- dir.read_write_file(c"policy", DevicePolicy(device)),
                statistics <- dir.read_only_file(c"statistics", Statistics),
                dir: dir.clone(),
            }))
        })
    }
}
