// SPDX-License-Identifier: GPL-2.0

//! Which workload runs on which object, at which size, how often.

use crate::args::Args;
use crate::measure::is_possible;
use crate::object::Object;
use crate::workload::Workload;
use clap::ValueEnum;

/// Bytes of a MiB.
pub const MIB: usize = 1 << 20;

/// Size at which everything is compared with everything, bytes.
pub const COMPARED: usize = 16 * MIB;
/// Size at which rmmap's bulk workloads are judged, bytes.
pub const JUDGED: usize = 256 * MIB;
/// Size at which the ends of an object are judged, bytes.
pub const LARGE: usize = 1024 * MIB;
/// The smallest and the largest size of the comparison of sizes, bytes.
pub const ENDS: [usize; 2] = [4 * MIB, 4096 * MIB];

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Set {
    /// What rmmap is judged by, at small sizes
    Quick,
    /// Everything: all objects, all workloads, sizes from 4 MiB to 4 GiB
    Full,
    /// What shows the cost of statistics
    Statistics,
}

/// One measurement to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The object.
    pub object: Object,
    /// Its bytes.
    pub size: usize,
    /// The workload.
    pub workload: Workload,
    /// How often.
    pub times: u32,
}

/// The measurements that the command line asks for, by objects and sizes.
pub fn plan(args: &Args) -> Vec<Case> {
    let mut cases = match args.size {
        Some(mib) => each(
            Object::value_variants(),
            Workload::value_variants(),
            &[mib as usize * MIB],
            3,
        ),
        None => set(args.set),
    };
    cases.retain(|case| {
        (args.objects.is_empty() || args.objects.contains(&case.object))
            && (args.workloads.is_empty() || args.workloads.contains(&case.workload))
    });
    for case in &mut cases {
        case.times = args.times.unwrap_or(case.times);
    }
    cases.sort_by_key(|case| (case.object, case.size, case.workload));
    cases.dedup_by_key(|case| (case.object, case.size, case.workload));
    cases
}

fn set(set: Set) -> Vec<Case> {
    use Object::{AnonHuge, Memfd, MemfdHuge, Rmmap, RmmapNever};
    use Workload::{
        Fork, Free, Locked, Munmap, Populate, PrivateHole, RandomWrite, SecondMap, SeqWrite,
    };
    let all = (Object::value_variants(), Workload::value_variants());
    let judged = [
        Populate,
        Locked,
        SeqWrite,
        RandomWrite,
        SecondMap,
        PrivateHole,
        Fork,
        Munmap,
        Free,
    ];
    let ours_and_memfd = [Rmmap, RmmapNever, Memfd, MemfdHuge];
    let bulk = [Rmmap, RmmapNever, Memfd, MemfdHuge, AnonHuge];
    match set {
        Set::Quick => [
            each(&ours_and_memfd, &judged, &[COMPARED], 1),
            each(&[Rmmap], &[Populate, SeqWrite], &[ENDS[0]], 1),
            each(&[Rmmap, MemfdHuge], &[Populate], &[JUDGED], 1),
        ]
        .concat(),
        Set::Full => [
            each(all.0, all.1, &[COMPARED], 2),
            each(&bulk, &[Populate, Locked, SeqWrite], &[JUDGED], 2),
            each(&bulk, &[Populate, SeqWrite], &[ENDS[0]], 3),
            each(&[Rmmap, MemfdHuge], &[Fork, Munmap, Free], &[LARGE], 2),
            each(
                &[Rmmap, MemfdHuge, AnonHuge],
                &[Populate],
                &[LARGE, ENDS[1]],
                1,
            ),
            each(&[Rmmap], &[SeqWrite], &[LARGE, ENDS[1]], 1),
        ]
        .concat(),
        Set::Statistics => each(
            &[Rmmap, RmmapNever],
            &[SeqWrite, RandomWrite, Populate, SecondMap],
            &[COMPARED],
            2,
        ),
    }
}

/// Everything with everything that is possible.
fn each(objects: &[Object], workloads: &[Workload], sizes: &[usize], times: u32) -> Vec<Case> {
    let mut cases = Vec::new();
    for &object in objects {
        for &size in sizes {
            let possible = workloads
                .iter()
                .filter(|&&workload| is_possible(object, workload));
            cases.extend(possible.map(|&workload| Case {
                object,
                size,
                workload,
                times,
            }));
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn planned(words: &str) -> Vec<Case> {
        plan(&Line::parse_from(words.split(' ')).args)
    }

    #[test]
    fn full_has_every_object_and_workload_once_at_a_size() {
        let cases = planned("bench --set full");
        for object in Object::value_variants() {
            assert!(
                cases.iter().any(|case| case.object == *object),
                "{object:?}"
            );
        }
        for workload in Workload::value_variants() {
            assert!(
                cases.iter().any(|case| case.workload == *workload),
                "{workload:?}"
            );
        }
        let mut keys: Vec<_> = cases
            .iter()
            .map(|c| (c.object, c.size, c.workload))
            .collect();
        keys.dedup();
        assert_eq!(keys.len(), cases.len());
        assert!(cases.iter().any(|case| case.size == ENDS[1]));
    }

    #[test]
    fn what_is_asked_for_is_measured() {
        let cases = planned("bench --size 8 --object memfd --workload populate --times 5");
        let wanted = Case {
            object: Object::Memfd,
            size: 8 * MIB,
            workload: Workload::Populate,
            times: 5,
        };
        assert_eq!(cases, [wanted]);
    }
}
