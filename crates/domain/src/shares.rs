//! The distribution of a pool's permits among several lanes.
//!
//! Each share has a guaranteed number of permits. Unused permits are lent to the others, in the
//! order of the list. A lent permit returns when the borrower's work ends. Shares below their
//! guarantee are then served before any share borrows again.

/// A share of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolShare {
    /// Permits that it is guaranteed, once lent permits have returned.
    pub guaranteed: usize,
    /// Permits that it holds.
    pub held: usize,
    /// Whether it may have due work.
    pub may_have_due: bool,
}

/// Returns the share that gets the next permits, and their largest number. Returns `None` if all
/// permits are held or no share may have due work. Call it again after the permits were taken, or
/// after the share proved to need fewer.
pub fn next_grant(pool: usize, shares: &[PoolShare]) -> Option<(usize, usize)> {
    let held = shares
        .iter()
        .fold(0_usize, |sum, share| sum.saturating_add(share.held));
    let free = pool.saturating_sub(held);
    if free == 0 {
        return None;
    }
    let owed = |share: &PoolShare| share.guaranteed.saturating_sub(share.held);
    let first = |wanted: &dyn Fn(&PoolShare) -> bool| {
        shares
            .iter()
            .position(|share| share.may_have_due && wanted(share))
    };
    if let Some(index) = first(&|share| owed(share) > 0) {
        return Some((index, owed(&shares[index]).min(free)));
    }
    first(&|_| true).map(|index| (index, free))
}

/// Converts shares in percent of a pool to guarantees: one permit each, and of the rest each its
/// share, rounded down. Their sum is never more than the pool if it has a permit for each, and the
/// shares are no more than a hundred percent.
pub fn guarantees<const N: usize>(pool: usize, percent: [u32; N]) -> [usize; N] {
    let rest = pool.saturating_sub(N);
    percent.map(|percent| 1 + rest.saturating_mul(percent as usize) / 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Hands out permits as the workers do: a share takes what it is granted or what it has work
    /// for.
    fn hand_out(pool: usize, shares: &mut [PoolShare], waiting: &mut [usize]) {
        for share in shares.iter_mut() {
            share.may_have_due = true;
        }
        while let Some((index, most)) = next_grant(pool, shares) {
            assert!(most > 0, "a grant of nothing would never end");
            let taken = most.min(waiting[index]);
            shares[index].held += taken;
            shares[index].may_have_due = taken == most;
            waiting[index] -= taken;
        }
    }

    fn idle(guarantees: &[usize]) -> Vec<PoolShare> {
        let share = |&guaranteed| PoolShare {
            guaranteed,
            held: 0,
            may_have_due: false,
        };
        guarantees.iter().map(share).collect()
    }

    fn held(shares: &[PoolShare]) -> Vec<usize> {
        shares.iter().map(|share| share.held).collect()
    }

    #[test]
    fn under_load_everybody_has_its_share_and_what_is_left_goes_to_the_first() {
        let mut shares = idle(&[5, 9, 6, 3]);
        hand_out(24, &mut shares, &mut [100, 100, 100, 100]);
        assert_eq!(held(&shares), [6, 9, 6, 3]);
    }

    #[test]
    fn one_with_work_may_have_the_whole_pool() {
        let mut shares = idle(&[5, 9, 6, 3]);
        hand_out(24, &mut shares, &mut [0, 0, 0, 100]);
        assert_eq!(held(&shares), [0, 0, 0, 24]);
    }

    #[test]
    fn what_was_lent_goes_back_to_its_owner_as_steps_end() {
        let mut shares = idle(&[5, 9, 6, 3]);
        let mut waiting = [0, 0, 0, 100];
        hand_out(24, &mut shares, &mut waiting);
        waiting[2] = 100;
        for _ in 0..6 {
            shares[3].held -= 1;
            hand_out(24, &mut shares, &mut waiting);
        }
        assert_eq!(held(&shares), [0, 0, 6, 18]);
    }

    #[test]
    fn shares_come_to_whole_permits_and_nobody_is_left_without() {
        assert_eq!(guarantees(24, [20, 40, 30, 10]), [5, 9, 7, 3]);
        assert_eq!(guarantees(4, [97, 1, 1, 1]), [1, 1, 1, 1]);
    }

    proptest! {
        #[test]
        fn guarantees_hold_nothing_idles_and_the_pool_is_never_exceeded(
            pool in 4_usize..200,
            parts in prop::array::uniform4(0_u32..=25),
            history in prop::collection::vec((prop::array::uniform4(0_usize..60), prop::array::uniform4(0_usize..60)), 1..40),
        ) {
            let guarantees = guarantees(pool, parts);
            prop_assert!(guarantees.iter().sum::<usize>() <= pool);
            let mut shares = idle(&guarantees);
            let mut waiting = [0_usize; 4];
            for (arrivals, ends) in history {
                for index in 0..4 {
                    waiting[index] += arrivals[index];
                    shares[index].held -= ends[index].min(shares[index].held);
                }
                let before = shares.clone();
                hand_out(pool, &mut shares, &mut waiting);
                let taken: usize = held(&shares).iter().sum();
                prop_assert!(taken <= pool);
                prop_assert!(taken == pool || waiting.iter().all(|&left| left == 0), "permits idle while work waits");
                for (share, left) in shares.iter().zip(waiting) {
                    let below = left > 0 && share.held < share.guaranteed;
                    let lent = shares.iter().zip(&before).any(|(now, before)| now.held > before.held && now.held > now.guaranteed);
                    prop_assert!(!(below && lent), "lent to one while another is below its guarantee");
                }
            }
        }

        #[test]
        fn from_an_idle_pool_each_gets_its_guarantee_at_once(
            pool in 4_usize..200,
            parts in prop::array::uniform4(0_u32..=25),
            work in prop::array::uniform4(0_usize..300),
        ) {
            let guarantees = guarantees(pool, parts);
            let mut shares = idle(&guarantees);
            let mut waiting = work;
            hand_out(pool, &mut shares, &mut waiting);
            for index in 0..4 {
                prop_assert!(shares[index].held >= work[index].min(guarantees[index]));
            }
        }
    }
}
