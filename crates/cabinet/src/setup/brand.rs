//! The platform's look of the page, and the files that the page consists of.

use std::sync::LazyLock;

use aws_lc_rs::digest;

const STYLE: &str = include_str!("../../assets/setup.css");
const SCRIPT: &str = include_str!("../../assets/setup.js");
const ICON: &str = include_str!("../../assets/icon.svg");

const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// The platform's own signs.
#[derive(Debug, Clone)]
pub(super) struct Brand {
    /// Name of the platform; empty for none.
    pub(super) name: String,
    pub(super) logo_url: Option<String>,
}

/// A colour of the sRGB space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accent([u8; 3]);

impl Accent {
    /// Reads `#rgb` or `#rrggbb`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        let digit = |place: usize| {
            let found = digits.as_bytes().get(place).copied()?;
            u8::try_from(char::from(found).to_digit(16)?).ok()
        };
        let channel = |first, second| Some(digit(first)? * 16 + digit(second)?);
        match digits.len() {
            3 => Some(Self([channel(0, 0)?, channel(1, 1)?, channel(2, 2)?])),
            6 => Some(Self([channel(0, 1)?, channel(2, 3)?, channel(4, 5)?])),
            _ => None,
        }
    }

    /// Relative luminance by WCAG 2.2.
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.040_45 {
                share / 12.92
            } else {
                ((share + 0.055) / 1.055).powf(2.4)
            }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The colour of text on it, black or white: the one with more contrast, at least 4.5 to 1.
    fn text_color(self) -> &'static str {
        let luminance = self.luminance();
        if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.05 {
            "#ffffff"
        } else {
            "#000000"
        }
    }

    fn hex(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }
}

/// The stylesheet with the platform's colours.
#[derive(Debug)]
pub(super) struct Theme {
    name: String,
    css: String,
}

impl Theme {
    pub(super) fn new(accent: Accent) -> Self {
        let css = format!(
            ":root {{ --accent: {}; --on-accent: {}; }}\n",
            accent.hex(),
            accent.text_color()
        );
        Self {
            name: hashed("theme", "css", &css),
            css,
        }
    }
}

/// A file of the page. Its name changes with its content, so it may be kept for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asset<'a> {
    pub(crate) media_type: &'static str,
    pub(crate) content: &'a str,
}

/// Addresses of the files, relative to a page.
#[derive(Debug)]
pub(super) struct Assets {
    pub(super) style: String,
    pub(super) theme: String,
    pub(super) script: String,
    pub(super) icon: String,
}

struct Names {
    style: String,
    script: String,
    icon: String,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| Names {
    style: hashed("setup", "css", STYLE),
    script: hashed("setup", "js", SCRIPT),
    icon: hashed("icon", "svg", ICON),
});

/// The addresses of the files for a page whose folder is `up` above its own.
pub(super) fn assets(theme: &Theme, up: &str) -> Assets {
    let address = |name: &str| format!("{up}assets/{name}");
    Assets {
        style: address(&NAMES.style),
        theme: address(&theme.name),
        script: address(&NAMES.script),
        icon: address(&NAMES.icon),
    }
}

/// The file with this name.
pub(super) fn asset<'a>(theme: &'a Theme, name: &str) -> Option<Asset<'a>> {
    let (media_type, content) = match name {
        name if name == theme.name => (CSS, theme.css.as_str()),
        name if name == NAMES.style => (CSS, STYLE),
        name if name == NAMES.script => (JAVASCRIPT, SCRIPT),
        name if name == NAMES.icon => (SVG, ICON),
        _ => return None,
    };
    Some(Asset {
        media_type,
        content,
    })
}

fn hashed(name: &str, extension: &str, content: &str) -> String {
    let hash = digest::digest(&digest::SHA256, content.as_bytes());
    let short = hex::encode(&hash.as_ref()[..8]);
    format!("{name}-{short}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_colour_is_an_accent() {
        let hex = |text| Accent::parse(text).map(Accent::hex);
        assert_eq!(hex("#0B57d0").as_deref(), Some("#0b57d0"));
        assert_eq!(hex("#fa3").as_deref(), Some("#ffaa33"));
        for wrong in [
            "",
            "#",
            "red",
            "#12345",
            "#1234567",
            "#gggggg",
            "#fff;}",
            "#\u{ff11}\u{ff11}\u{ff11}",
        ] {
            assert_eq!(hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn text_on_any_accent_can_be_read() {
        let contrast = |accent: Accent| {
            let light = if accent.text_color() == "#ffffff" {
                1.0
            } else {
                0.0
            };
            let (one, other) = (accent.luminance() + 0.05, light + 0.05);
            f64::max(one, other) / f64::min(one, other)
        };
        for red in (0..=255).step_by(15) {
            for green in (0..=255).step_by(15) {
                for blue in (0..=255).step_by(15) {
                    let accent = Accent([red, green, blue]);
                    assert!(contrast(accent) >= 4.5, "{}", accent.hex());
                }
            }
        }
    }

    #[test]
    fn each_file_is_found_by_its_name_and_nothing_else_is() {
        let theme = Theme::new(Accent([11, 87, 208]));
        let files = assets(&theme, "../");
        for address in [&files.style, &files.theme, &files.script, &files.icon] {
            let name = address.strip_prefix("../assets/").unwrap();
            assert!(asset(&theme, name).is_some(), "{name}");
        }
        assert!(asset(&theme, "setup.css").is_none() && asset(&theme, "").is_none());
    }
}
