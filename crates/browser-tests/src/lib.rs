//! Tests that open our pages in a real browser; everything is in `tests`.
//!
//! `harness` checks a page in the browser of [`dps_lab::browser`][lab]. It knows accessibility by
//! axe-core, the content security policy, the keyboard and screenshots. Its own tests prove on bad
//! pages that each check can fail.
//!
//! A test keeps its screenshots below `target/tmp/screenshots`; with `DPS_SCREENSHOTS=/a/folder`,
//! there.
//!
//! [lab]: ../dps_lab/browser/index.html
