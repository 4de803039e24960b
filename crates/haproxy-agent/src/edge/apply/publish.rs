//! The files of a burst: staged, then published with their lines of the crt-list.

use std::sync::Arc;

use super::super::{Edge, Refusal};
use super::item::{Item, Need, fail_open, open};
use crate::disk::Held;

impl Edge {
    /// Writes the files, out of HAProxy's sight.
    pub(super) async fn stage(&self, items: &mut [Item]) {
        let places = open(items, &[Need::Install, Need::Remember]);
        if places.is_empty() {
            return;
        }
        let candidates: Vec<_> = places
            .iter()
            .map(|index| Arc::clone(&items[*index].candidate))
            .collect();
        let staged = self
            .on_disk(move |disk| {
                disk.stage_all(candidates.iter().map(|candidate| &candidate.stored))
            })
            .await;
        match staged {
            Ok(staged) => {
                for (index, result) in places.into_iter().zip(staged) {
                    match result {
                        Ok(staged) => items[index].staged = Some(staged),
                        Err(error) => items[index].fail(Refusal::from(error)),
                    }
                }
            }
            Err(error) => fail_open(items, Refusal::from(error)),
        }
    }

    /// Puts the files where a starting HAProxy finds them, and the new hostnames into the crt-list.
    pub(super) async fn publish(&self, items: &mut [Item]) {
        let places = open(items, &[Need::Install, Need::Remember]);
        let staged: Vec<_> = places
            .iter()
            .filter_map(|index| items[*index].staged.take())
            .collect();
        if staged.is_empty() {
            return;
        }
        let mut stamps = Vec::with_capacity(places.len());
        match self.on_disk(move |disk| disk.publish_all(&staged)).await {
            Ok(results) => {
                for (index, result) in places.iter().zip(results) {
                    match result {
                        Ok(stamp) => stamps.push((*index, stamp)),
                        Err(error) => items[*index].fail(Refusal::from(error)),
                    }
                }
            }
            Err(error) => {
                let refusal = Arc::new(Refusal::from(error));
                for index in &places {
                    items[*index].fail(Arc::clone(&refusal));
                }
            }
        }
        {
            let mut view = self.shared.change();
            for (index, stamp) in stamps {
                let candidate = &items[index].candidate;
                let held = Held {
                    stamp: Some(stamp),
                    ..candidate.wanted.clone()
                };
                view.not_served.remove(candidate.hostname());
                view.orphans.remove(candidate.name());
                view.held.insert(candidate.hostname().clone(), held);
            }
        }
        self.list(items, &places).await;
    }

    /// Puts the new hostnames into the crt-list, and makes sure that a load which begins from now
    /// on finds all that was published.
    async fn list(&self, items: &mut [Item], places: &[usize]) {
        let is_new = |index: &usize| items[*index].is_open() && items[*index].previous.is_none();
        let (new, listed): (Vec<_>, Vec<_>) = places.iter().copied().partition(is_new);
        if new.is_empty() && !self.disk.is_list_opened() {
            return;
        }
        let Err(error) = self.renew_list().await else {
            return;
        };
        let refusal = Arc::new(Refusal::from(error));
        // They are published; whether a load under way has them is not known.
        for index in listed {
            items[index].fail(Arc::clone(&refusal));
        }
        let mut names = Vec::new();
        for index in new {
            self.shared
                .change()
                .held
                .remove(items[index].candidate.hostname());
            names.push(items[index].candidate.name().clone());
            items[index].fail(Arc::clone(&refusal));
        }
        // Unlisted, they harm nothing; the next start sets aside what is left.
        self.on_disk(move |disk| disk.delete_all(names.iter()))
            .await
            .ok();
    }
}
