// SPDX-License-Identifier: GPL-2.0

//! The plan: which workload runs on which object, at which size, how often.

use crate::args::Args;
use crate::measure::is_possible;
use crate::object::Object;
use crate::workload::Workload;
use clap::ValueEnum;

pub use crate::args::Set;
pub use crate::workload::{COMPARED, ENDS, JUDGED, MIB};

/// A planned measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    /// The object.
    pub object: Object,
    /// Its size, bytes.
    pub size: usize,
    /// The workload.
    pub workload: Workload,
    /// The number of samples.
    pub times: u32,
}

/// Returns the measurements that the command line requests, sorted by object and size.
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

/// Returns the measurements of a set, which may contain duplicates.
pub fn set(set: Set) -> Vec<Case> {
    use Object::{
        AnonHuge, Hugetlb, Memfd, MemfdAdvise, MemfdHuge, MemfdWithin, Ramfs, Rmmap, RmmapNever,
    };
    use Workload::{
        Bursts, Fork, Free, Locked, Mremap, Munmap, Populate, PrivateHole, RandomLatency,
        RandomWrite, SecondMap, SeqWrite, ShortRuns, Streams16, Tiny, WriteCall,
    };
    let quick = [
        Populate,
        Locked,
        SeqWrite,
        RandomWrite,
        WriteCall,
        SecondMap,
        PrivateHole,
        Fork,
        Mremap,
        Munmap,
        Free,
        Tiny,
        Bursts,
        ShortRuns,
        Streams16,
        RandomLatency,
    ];
    let bulk = [Rmmap, Memfd, MemfdHuge, AnonHuge];
    let close = [Rmmap, MemfdHuge, MemfdWithin, MemfdAdvise, AnonHuge];
    let own = |objects: &[Object], workloads: &[Workload], times| {
        let of = |&workload: &Workload| each(objects, &[workload], &[workload.size()], times);
        workloads.iter().flat_map(of).collect::<Vec<_>>()
    };
    match set {
        Set::Quick => [
            own(&[Rmmap, Memfd, MemfdHuge], &quick, 3),
            own(&[Ramfs], &[WriteCall], 1),
            own(&[Hugetlb], &[SecondMap, Fork, Mremap, Munmap], 3),
            own(&[RmmapNever], &[SeqWrite], 1),
        ]
        .concat(),
        Set::Full => [
            // The median of several samples, where a timer interrupt costs more than the
            // difference.
            own(&close, &[Populate, Locked, SeqWrite], 5),
            own(
                &[Rmmap, Hugetlb, MemfdHuge, Memfd],
                &[SecondMap, Fork, Mremap, Munmap, Free, Tiny],
                5,
            ),
            own(Object::value_variants(), Workload::value_variants(), 1),
            each(&bulk, &[Populate, Locked, SeqWrite], &[JUDGED], 1),
            each(&bulk, &[Populate, SeqWrite], &[ENDS[0]], 1),
            each(&[Rmmap], &[Populate, SeqWrite], &[ENDS[1]], 1),
        ]
        .concat(),
        Set::Statistics => own(
            &[Rmmap, RmmapNever],
            &[SeqWrite, RandomWrite, Populate, SecondMap],
            1,
        ),
    }
}

/// Returns all possible combinations of these objects, workloads and sizes.
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
