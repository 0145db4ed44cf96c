// SPDX-License-Identifier: GPL-2.0

//! Tracepoints of a driver, for perf, trace-cmd and bpftrace.
//!
//! C defines the fields of an event and its format, with `TRACE_EVENT()`; the C file that makes the
//! events has a line `RUST_TRACEPOINT_n(...)` of `rust/helpers/tracepoint.h` for each. The driver
//! declares them with [`tracepoints!`](crate::tracepoints) and gets safe functions.
//!
//! Upstream's `kernel::declare_trace!` makes `unsafe` functions, since nothing checks their
//! arguments against those of the C function. Here the arguments are integers only, and both sides
//! build the name of the C function from their types: a mismatch does not link.
//!
//! C header: [`include/linux/tracepoint.h`](srctree/include/linux/tracepoint.h)

mod sealed {
    /// A trait that only this module implements.
    pub trait Sealed {}
}

/// The type of a tracepoint's argument: C has one of the same name, size and values.
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

/// Checks at compile time that `T` is an [`Argument`].
#[doc(hidden)]
pub const fn check_argument<T: Argument>() {}

/// Declares tracepoints: `fn name(argument: type, ...);` makes a function that takes a closure,
/// which returns the arguments as a tuple.
///
/// The closure runs only while the tracepoint is enabled. While it is disabled, the function is a
/// `nop`, which the kernel patches to a jump on enabling (a static key). The function may be called
/// anywhere, also where nothing may sleep, so the closure must not sleep.
///
/// Types are `u8`, `u16`, `u32` and `u64`, which have the same names in C; no others compile.
///
/// # Examples
///
/// ```ignore
/// kernel_mm::tracepoints! {
///     /// A page fault.
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
                    // arguments, so it takes these, and C means the same by their names: each is an
                    // `Argument`. They are integers, and any value is valid.
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
