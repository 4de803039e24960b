use super::*;

#[test]
fn three_files_or_none_and_the_missing_ones_are_named() {
    let path = PathBuf::from("x");
    assert_eq!(TlsFiles::all_or_none(None, None, None), Ok(None));
    assert!(
        TlsFiles::all_or_none(Some(&path), Some(&path), Some(&path))
            .unwrap()
            .is_some()
    );
    assert_eq!(
        TlsFiles::all_or_none(Some(&path), None, None),
        Err(vec![1, 2])
    );
}
