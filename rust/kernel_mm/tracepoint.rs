// SPDX-License-Identifier: GPL-2.0

//! Tracepoints of a driver, for perf, trace-cmd and bpftrace.
//!
//! What an event carries and how it is printed is written in C, with `TRACE_EVENT()`; the C file
//! that makes the events has a line `RUST_TRACEPOINT_n(...)` of `rust/helpers/tracepoint.h` for
//! each. The driver declares them with [`tracepoints!`](crate::tracepoints) and gets safe
//! functions.
//!
//! Upstream's `kernel::declare_trace!` makes functions that are `unsafe`, for nothing compares
//! their arguments with those of the C function. Here the arguments are integers only, and the name
//! of the C function is made of their types on both sides: what does not agree does not link.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)

mod sealed {
    /// What only this module implements.
    pub trait Sealed {}
}

/// A type that an argument of a tracepoint may have: C has one of the same name, size and values.
///
/// (C's `char` has one byte, Rust's four; C's `bool` and Rust's agree, but an `int` in a C
/// prototype would not.)
#[diagnostic::on_unimplemented(
    message = "a tracepoint has no arguments of type `{Self}`",
    note = "use `u8`, `u16`, `u32` or `u64`"
)]
pub trait Argument: sealed::Sealed {}

macro_rules! arguments {
    ($($ty:ty)*) => {$(
        impl sealed::Sealed for $ty {}
        impl Argument for $ty {}
    )*};
}

arguments! { u8 u16 u32 u64 }

/// Accepts the types that are arguments, and does nothing.
#[doc(hidden)]
pub const fn check_argument<T: Argument>() {}

/// Declares tracepoints: `fn name(argument: type, ...);` makes a function that takes a closure,
/// which returns the arguments as a tuple.
///
/// The closure runs only while somebody traces. While nobody does, the function is a `nop` that the
/// kernel turns into a jump when that changes (a static key); it may be called everywhere, also
/// where nothing may sleep, and so must the closure not.
///
/// Types are `u8`, `u16`, `u32` and `u64`, which C calls by the same names; no other compiles.
///
/// # Examples
///
/// ```ignore
/// kernel_mm::tracepoints! {
///     /// A page was asked for.
///     fn fault(ino: u64, pgoff: u64, write: u32);
/// }
///
/// fault(|| (inode.ino(), vmf.pgoff() as u64, vmf.is_write().into()));
/// ```
#[macro_export]
macro_rules! tracepoints {
    ($(
        $(#[$meta:meta])*
        $vis:vis fn $name:ident($($arg:ident: $ty:ident),* $(,)?);
    )*) => {$(
        $(#[$meta])*
        #[inline(always)]
        $vis fn $name(arguments: impl FnOnce() -> ($(::core::primitive::$ty,)*)) {
            $(const _: () = $crate::mm::tracepoint::check_argument::<::core::primitive::$ty>();)*
            #[cfg(CONFIG_TRACEPOINTS)]
            ::kernel::macros::paste! {
                unsafe extern "C" {
                    static [< __tracepoint_ $name >]: ::kernel::bindings::tracepoint;
                    fn [< kernel_mm_trace_ $name $(_ $ty)* >](
                        $($arg: ::core::primitive::$ty),*
                    );
                }
                // SAFETY: A symbol of this name is a tracepoint: `DEFINE_TRACE()` makes it.
                let is_on = unsafe {
                    ::kernel::jump_label::static_branch_unlikely!(
                        [< __tracepoint_ $name >],
                        ::kernel::bindings::tracepoint,
                        key
                    )
                };
                if is_on {
                    let ($($arg,)*) = arguments();
                    // SAFETY: `RUST_TRACEPOINT_n()` names the function after the types of its
                    // arguments, so it takes these, and C means the same by their names: each is
                    // an `Argument`. They are integers, and any are fine.
                    unsafe {
                        [< kernel_mm_trace_ $name $(_ $ty)* >]($($arg),*)
                    };
                }
            }
            #[cfg(not(CONFIG_TRACEPOINTS))]
            let _ = arguments;
        }
    )*};
}
