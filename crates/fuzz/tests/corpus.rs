//! Every file of the corpus passes its target, so that a fault that was found stays mended.

use std::fs;
use std::path::Path;

/// The corpus is kept small: a file more must be worth its place.
const MAX_FILES: usize = 60;
const MAX_FILE_BYTES: usize = 64 * 1024;
/// Files of the repository that belong to a corpus as they are; `script/fuzz` names them too.
const SEEDS: [(&str, &str); 1] = [("settings", "docs/configuration/appsettings.sample.json")];

#[test]
fn every_file_of_the_corpus_passes_its_target() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, target) in dps_fuzz::TARGETS {
        let mut files: Vec<_> = fs::read_dir(corpus.join(name))
            .unwrap_or_else(|error| panic!("the corpus of {name}: {error}"))
            .map(|file| file.unwrap().path())
            .collect();
        let seeds = SEEDS.iter().filter(|(target, _)| *target == name);
        files.extend(seeds.map(|(_, file)| corpus.join("../..").join(file)));
        assert!(
            !files.is_empty() && files.len() <= MAX_FILES,
            "{name}: {}",
            files.len()
        );
        for file in files {
            let data = fs::read(&file).unwrap();
            assert!(data.len() <= MAX_FILE_BYTES, "{}", file.display());
            println!("{}", file.display());
            target(&data);
        }
    }
}

#[test]
fn every_target_has_a_program_for_the_fuzzer_and_the_other_way_round() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    let mut programs: Vec<String> = fs::read_dir(programs)
        .unwrap()
        .map(|file| {
            file.unwrap()
                .path()
                .file_stem()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    programs.sort_unstable();
    let mut targets: Vec<&str> = dps_fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
    targets.sort_unstable();
    assert_eq!(programs, targets);
}
