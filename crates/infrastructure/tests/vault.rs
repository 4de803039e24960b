//! The vault and its key files.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic as tests may"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use dps_application::ports::Vault;
use dps_application::ports::vault::{SealedSecret, SecretContext, SecretPurpose, VaultError};
use dps_infrastructure::secrets::{
    EnvelopeVault, KeyFileError, KeyRing, KeyRingError, create_key_file,
};
use secrecy::{ExposeSecret, SecretString};

const OLD: &str = "old:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEW: &str = "new:Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";
const SECRET: &str = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";
const HOME: SecretContext<'static> = SecretContext {
    purpose: SecretPurpose::OrderKey,
    row: "order-1",
};

fn ring(text: &str) -> Result<KeyRing, KeyRingError> {
    KeyRing::parse(&SecretString::from(text))
}

fn vault(text: &str) -> EnvelopeVault {
    EnvelopeVault::new(ring(text).unwrap())
}

fn sealed_by(text: &str) -> SealedSecret {
    vault(text).seal(HOME, &SecretString::from(SECRET)).unwrap()
}

#[test]
fn what_was_sealed_opens_again_and_is_unreadable_meanwhile() {
    let sealed = sealed_by(OLD);
    assert_eq!(
        vault(OLD).open(HOME, &sealed).unwrap().expose_secret(),
        SECRET
    );
    let raw = String::from_utf8_lossy(&sealed.0).into_owned();
    assert!(
        !raw.contains("hunter2") && !raw.contains("PRIVATE"),
        "{raw}"
    );
    assert_ne!(
        sealed,
        sealed_by(OLD),
        "the same secret is never sealed the same"
    );
}

#[test]
fn a_secret_moved_to_another_row_or_purpose_does_not_open() {
    let sealed = sealed_by(OLD);
    let other_row = SecretContext {
        row: "order-2",
        ..HOME
    };
    let other_purpose = SecretContext {
        purpose: SecretPurpose::CertificateKey,
        ..HOME
    };
    for elsewhere in [other_row, other_purpose] {
        assert_eq!(
            vault(OLD).open(elsewhere, &sealed).unwrap_err(),
            VaultError::Tampered
        );
    }
}

#[test]
fn no_byte_can_be_altered_cut_or_added() {
    let (vault, sealed) = (vault(OLD), sealed_by(OLD));
    for position in 0..sealed.0.len() {
        let mut altered = sealed.clone();
        altered.0[position] ^= 1;
        let error = vault.open(HOME, &altered).unwrap_err();
        assert!(
            matches!(error, VaultError::Tampered | VaultError::UnknownKey { .. }),
            "byte {position}: {error}"
        );
        let cut = SealedSecret(sealed.0[..position].to_vec());
        assert_eq!(vault.open(HOME, &cut).unwrap_err(), VaultError::Tampered);
    }
    let mut longer = sealed.clone();
    longer.0.push(0);
    assert_eq!(vault.open(HOME, &longer).unwrap_err(), VaultError::Tampered);
}

#[test]
fn another_key_of_the_same_name_does_not_open_it() {
    let impostor = NEW.replace("new:", "old:");
    assert_eq!(
        vault(&impostor).open(HOME, &sealed_by(OLD)).unwrap_err(),
        VaultError::Tampered
    );
}

#[test]
fn rotation_opens_old_secrets_and_moves_them_to_the_current_key() {
    let both = vault(&format!("{NEW}\n{OLD}\n"));
    let old = sealed_by(OLD);
    assert_eq!(both.open(HOME, &old).unwrap().expose_secret(), SECRET);
    let moved = both
        .reseal(HOME, &old)
        .unwrap()
        .expect("it was under the old key");
    assert_eq!(EnvelopeVault::key_id_of(&moved), Some("new"));
    assert_eq!(
        vault(NEW).open(HOME, &moved).unwrap().expose_secret(),
        SECRET
    );
    assert_eq!(
        both.reseal(HOME, &moved).unwrap(),
        None,
        "there is nothing left to do"
    );
}

#[test]
fn a_missing_key_is_named() {
    let error = vault(NEW).open(HOME, &sealed_by(OLD)).unwrap_err();
    assert!(error.to_string().contains("key old,"), "{error}");
    assert!(vault(NEW).reseal(HOME, &sealed_by(OLD)).is_err());
}

#[test]
fn nothing_that_can_be_printed_shows_a_key() {
    let ring = ring(OLD).unwrap();
    let shown = format!("{ring:?} {:?} {:?}", vault(OLD), sealed_by(OLD));
    assert!(
        !shown.contains("AAEC") && !shown.contains("hunter2"),
        "{shown}"
    );
    for broken in [
        "old:c2VjcmV0LXdvcmQ=",
        "c2VjcmV0LXdvcmQ=",
        "a b:c2VjcmV0LXdvcmQ=",
        "old:c2VjcmV0LXdvcmQ",
    ] {
        let error = KeyRing::parse(&SecretString::from(broken)).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("c2VjcmV0"), "{shown}");
    }
}

#[test]
fn keys_come_by_lines_or_commas_and_each_identifier_once() {
    let ids = |text: &str| {
        ring(text)
            .unwrap()
            .ids()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ids(&format!("# rotated in May\n\n {NEW} \n{OLD}")),
        ["new", "old"]
    );
    assert_eq!(ids(&format!("{OLD},{NEW}")), ["old", "new"]);
    assert!(
        matches!(ring(&format!("{OLD}\n{OLD}")), Err(KeyRingError::Duplicate { id }) if id == "old")
    );
    assert!(matches!(ring("# nothing\n"), Err(KeyRingError::Empty)));
    let too_long = format!("{}AA==", OLD.trim_end_matches('='));
    assert!(matches!(ring(&too_long), Err(KeyRingError::BadKey { .. })));
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_new_key_file_is_private_usable_and_alone_in_its_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kek");
    create_key_file(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(
        fs::read_dir(directory.path()).unwrap().count(),
        1,
        "no draft remains"
    );
    let vault = EnvelopeVault::new(KeyRing::from_files(&[&path]).unwrap());
    let sealed = vault.seal(HOME, &SecretString::from(SECRET)).unwrap();
    let again = EnvelopeVault::new(KeyRing::from_files(&[&path]).unwrap());
    assert_eq!(again.open(HOME, &sealed).unwrap().expose_secret(), SECRET);
}

#[test]
fn an_existing_key_file_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kek");
    create_key_file(&path).unwrap();
    let before = fs::read(&path).unwrap();
    let error = create_key_file(&path).unwrap_err();
    assert!(matches!(error, KeyFileError::Exists { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_key_file_that_others_may_read_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("kek");
    create_key_file(&path).unwrap();
    for (bits, usable) in [
        (0o600, true),
        (0o400, true),
        (0o440, true),
        (0o604, false),
        (0o644, false),
        (0o660, false),
        (0o602, false),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).unwrap();
        match KeyRing::from_files(&[&path]) {
            Ok(_) => assert!(usable, "{bits:o} was accepted"),
            Err(error) => {
                assert!(!usable, "{bits:o}: {error}");
                let remedy = format!("chmod 600 {}", path.display());
                assert!(error.to_string().contains(&remedy), "{error}");
            }
        }
    }
}

#[test]
fn several_files_make_one_ring_and_a_wrong_one_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    };
    let (new, old, broken) = (
        file("new", NEW),
        file("old", OLD),
        file("broken", "old:short"),
    );
    let ring = KeyRing::from_files(&[&new, &old]).unwrap();
    assert_eq!(ring.ids().collect::<Vec<_>>(), ["new", "old"]);
    let error = KeyRing::from_files(&[&new, &broken]).unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");
    let missing = KeyRing::from_files(&[directory.path().join("missing")]).unwrap_err();
    assert!(missing.to_string().contains("missing"), "{missing}");
}
