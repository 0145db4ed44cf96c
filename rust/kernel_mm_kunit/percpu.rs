// SPDX-License-Identifier: GPL-2.0

//! Counters.

use kernel::{
    macros::kunit_tests,
    prelude::*, //
};

#[kunit_tests(kernel_mm_percpu)]
mod tests {
    use super::*;
    use kernel_mm::percpu::PerCpuCounters;

    #[test]
    fn counters_start_at_zero_and_add_up() -> Result {
        let counters = PerCpuCounters::<3>::new()?;
        assert_eq!(counters.sum(0), 0);
        counters.add(0, 5);
        counters.add(0, 6);
        counters.add(2, 1);
        assert_eq!(counters.sum(0), 11);
        assert_eq!(counters.sum(1), 0);
        assert_eq!(counters.sum(2), 1);
        Ok(())
    }

    #[test]
    fn index_beyond_the_end_is_ignored() -> Result {
        let counters = PerCpuCounters::<2>::new()?;
        counters.add(2, 7);
        assert_eq!(counters.sum(2), 0);
        assert_eq!(counters.sum(0), 0);
        assert_eq!(counters.sum(1), 0);
        Ok(())
    }
}
