// SPDX-License-Identifier: GPL-2.0

//! `make test`.

pub mod collect;
pub mod event;
pub mod kmsg;
pub mod ktap;
pub mod plan;
pub mod record;
