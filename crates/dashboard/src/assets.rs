//! The files that pages load: style sheet, scripts and icon.
//!
//! A file's address holds a part of its hash. So a browser may keep it for ever, and a new version
//! has another address.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// Bytes of the hash in an address.
const HASH_BYTES: usize = 8;

/// A file.
#[derive(Debug)]
pub struct Asset {
    /// Its address.
    pub path: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Its content.
    pub content: &'static [u8],
}

/// The files.
#[derive(Debug)]
pub struct Assets {
    /// The style sheet.
    pub style: Asset,
    /// htmx.
    pub htmx: Asset,
    /// The script of the pages.
    pub script: Asset,
    /// The icon.
    pub icon: Asset,
}

/// All files.
pub static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: asset(
        "dashboard.css",
        "text/css; charset=utf-8",
        include_bytes!("../assets/dashboard.css"),
    ),
    htmx: asset(
        "htmx.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/htmx-2.0.11.min.js"),
    ),
    script: asset(
        "dashboard.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../assets/dashboard.js"),
    ),
    icon: asset(
        "icon.svg",
        "image/svg+xml",
        include_bytes!("../assets/icon.svg"),
    ),
});

impl Assets {
    /// The file at an address.
    pub fn at(&self, path: &str) -> Option<&Asset> {
        let all = [&self.style, &self.htmx, &self.script, &self.icon];
        all.into_iter().find(|asset| asset.path == path)
    }
}

fn asset(name: &str, content_type: &'static str, content: &'static [u8]) -> Asset {
    let hash = hex::encode(&Sha256::digest(content)[..HASH_BYTES]);
    Asset {
        path: format!("/assets/{hash}/{name}"),
        content_type,
        content,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_at_its_address_alone() {
        assert!(ASSETS.at(&ASSETS.htmx.path).is_some());
        assert!(ASSETS.at("/assets/0000000000000000/htmx.js").is_none());
        assert!(ASSETS.at("/assets/").is_none());
    }

    #[test]
    fn a_page_with_its_files_is_light() {
        let files = &*ASSETS;
        let sizes =
            [&files.style, &files.htmx, &files.script, &files.icon].map(|a| a.content.len());
        assert!(sizes.iter().sum::<usize>() < 90_000, "{sizes:?}");
    }
}
