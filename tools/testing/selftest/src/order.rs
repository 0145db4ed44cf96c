// SPDX-License-Identifier: GPL-2.0

//! The order in which tests run.

/// Returns `entries` once per round, with the number of the round from 1. A `seed` shuffles each
/// round: the same seed gives the same order.
pub fn order<T: Copy>(entries: &[T], rounds: u32, seed: Option<u64>) -> Vec<(u32, T)> {
    let mut random = seed.map(fastrand::Rng::with_seed);
    let mut all = Vec::new();
    for round in 1..=rounds {
        let mut entries = entries.to_vec();
        if let Some(random) = &mut random {
            random.shuffle(&mut entries);
        }
        all.extend(entries.into_iter().map(|entry| (round, entry)));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_follow_each_other() {
        let all = order(&['a', 'b'], 2, None);
        assert_eq!(all, [(1, 'a'), (1, 'b'), (2, 'a'), (2, 'b')]);
        assert_eq!(order(&['a'], 1, Some(3)), [(1, 'a')]);
    }

    #[test]
    fn a_seed_decides_the_order() {
        let entries: Vec<u32> = (0..100).collect();
        let all = order(&entries, 2, Some(7));
        assert_eq!(all, order(&entries, 2, Some(7)));
        assert_ne!(all, order(&entries, 2, Some(8)));
        let round = |n: u32| -> Vec<u32> {
            let of = all.iter().filter(|(round, _)| *round == n);
            of.map(|(_, entry)| *entry).collect()
        };
        assert!(round(1) != entries && round(1) != round(2));
        for n in 1..=2 {
            let mut sorted = round(n);
            sorted.sort_unstable();
            assert_eq!(sorted, entries);
        }
    }
}
