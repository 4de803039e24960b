//! The parsers of HAProxy's answers. Pure functions over the answer's text, wording as in versions
//! 2.6 to 3.4.

/// Which HAProxy process answers. After a restart or reload both numbers change; in containers the
/// pid may repeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// HAProxy's version text.
    pub version: String,
    /// Process id of the worker.
    pub pid: u32,
    /// Start of the process, seconds since the Unix epoch.
    pub started: u64,
    /// The worker is on its way out after a reload: commands to it are lost.
    pub stopping: bool,
}

impl Process {
    /// Whether both are the same process.
    pub const fn is_same(&self, other: &Self) -> bool {
        self.pid == other.pid && self.started == other.started
    }
}

/// The state of a certificate store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Made, but nothing committed yet.
    Empty,
    /// Committed, but in no list.
    Unused,
    /// In a list, so it is served.
    Used,
}

/// A certificate store as `show ssl cert <name>` describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreState {
    /// Whether it is served.
    pub status: Status,
    /// SHA-1 of the leaf in upper-case hex, unless empty.
    pub fingerprint_sha1: Option<String>,
    /// How many certificates follow the leaf.
    pub intermediates: usize,
}

/// All stores, as `show ssl cert` lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreListing {
    /// The store that has an open transaction.
    pub transaction: Option<String>,
    /// The names of all stores.
    pub names: Vec<String>,
}

/// A line of a crt-list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListEntry {
    /// The store.
    pub name: String,
    /// The line's number, which distinguishes duplicates.
    pub line: u64,
}

/// The answers to several commands on one line; each ends with an empty line.
pub fn split(answers: &str) -> Vec<&str> {
    answers
        .split("\n\n")
        .map(|part| part.trim_matches('\n'))
        .filter(|part| !part.is_empty())
        .collect()
}

/// Returns the first complete answer in prompt mode, and its length in bytes. It ends with an empty
/// line and the next prompt, except that the answer to `prompt` itself is empty. It may begin with
/// the prompts of payload lines.
pub fn prompted(received: &[u8]) -> Option<(String, usize)> {
    const END: &[u8] = b"\n> ";
    let mut start = 0;
    while received[start..].starts_with(b"+ ") {
        start += 2;
    }
    let found = received[start..]
        .windows(END.len())
        .enumerate()
        .find(|(at, bytes)| {
            let before = &received[start..start + at];
            *bytes == END && (before.is_empty() || before.ends_with(b"\n"))
        });
    let end = start + found?.0;
    let answer = String::from_utf8_lossy(&received[start..end]);
    Some((
        answer.trim_end_matches('\n').to_owned() + "\n",
        end + END.len(),
    ))
}

/// `show info`.
pub fn process(answer: &str) -> Option<Process> {
    Some(Process {
        version: field(answer, "Version")?.to_owned(),
        pid: field(answer, "Pid")?.parse().ok()?,
        started: field(answer, "Start_time_sec")?.parse().ok()?,
        stopping: field(answer, "Stopping")? != "0",
    })
}

/// `show ssl cert <name>`: `Some(None)` if HAProxy has no such store, `None` if the answer is
/// something else.
pub fn store(answer: &str) -> Option<Option<StoreState>> {
    if answer.contains("Not found or the certificate is a bundle") {
        return Some(None);
    }
    let status = match field(answer, "Status")? {
        "Empty" => Status::Empty,
        "Unused" => Status::Unused,
        "Used" => Status::Used,
        _ => return None,
    };
    Some(Some(StoreState {
        status,
        fingerprint_sha1: field(answer, "SHA1 FingerPrint")
            .filter(|hex| !hex.is_empty())
            .map(str::to_owned),
        intermediates: answer
            .lines()
            .filter(|line| line.starts_with("Chain Subject:"))
            .count(),
    }))
}

/// `show ssl cert`.
pub fn stores(answer: &str) -> StoreListing {
    let mut listing = StoreListing::default();
    for line in answer
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        match line.strip_prefix('*') {
            Some(name) => listing.transaction = Some(name.to_owned()),
            None => listing.names.push(line.to_owned()),
        }
    }
    listing
}

/// `show ssl crt-list -n <list>`: `None` if no bind uses the list.
pub fn list_entries(answer: &str) -> Option<Vec<ListEntry>> {
    if answer.contains("didn't find the specified filename") {
        return None;
    }
    let entry = |line: &str| {
        let (name, number) = line.split_whitespace().next()?.rsplit_once(':')?;
        Some(ListEntry {
            name: name.to_owned(),
            line: number.parse().ok()?,
        })
    };
    Some(
        answer
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(entry)
            .collect(),
    )
}

/// Whether the store's certificates are locked by another command, so that the same command may
/// work a moment later.
pub fn is_locked(answer: &str) -> bool {
    answer.contains("Operations on certificates are currently locked!")
}

/// The effect of `set ssl cert` on a store's transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Staged<'a> {
    /// A transaction was opened about this store.
    Created(&'a str),
    /// The payload went into the open transaction about this store.
    Updated(&'a str),
}

/// `set ssl cert`: `None` if the answer is a refusal.
pub fn staged(answer: &str) -> Option<Staged<'_>> {
    let line = answer.trim();
    let name = |prefix: &str| {
        line.strip_prefix(prefix)?
            .strip_suffix('!')
            .filter(|name| !name.contains('\n'))
    };
    match name("Transaction created for certificate ") {
        Some(name) => Some(Staged::Created(name)),
        None => name("Transaction updated for certificate ").map(Staged::Updated),
    }
}

/// The store that an already open transaction is about, if that is why `set ssl cert` was refused
/// (newer than 2.6.12).
pub fn ongoing_transaction(answer: &str) -> Option<&str> {
    let (_, rest) = answer.split_once("The ongoing transaction is about '")?;
    rest.split_once('\'').map(|(name, _)| name)
}

/// `commit ssl cert`, `add ssl crt-list`: a line that is exactly `Success!`.
pub fn is_success(answer: &str) -> bool {
    answer.lines().any(|line| line == "Success!")
}

/// The value of a `Name: value` line.
fn field<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    answer
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USED: &str = "Filename: /s/a.pem\nStatus: Used\nSerial: 75BA\nnotBefore: Nov 23 21:44:19 2026 GMT\n\
        Subject Alternative Name: DNS:a.test\nAlgorithm: EC256\nSHA1 FingerPrint: BEDE0D4B93708B0DBD23B7FAFBA070B923224E52\n\
        Subject: /CN=a.test\nIssuer: /CN=x\nChain Subject: /CN=x\nChain Issuer: /CN=r\nOCSP Response Key: \n";
    const EMPTY: &str = "Filename: /s/b.pem\nStatus: Empty\nOCSP Response Key: \n";
    const UNKNOWN: &str =
        "Can't display the certificate: Not found or the certificate is a bundle!\n";

    #[test]
    fn a_store_is_used_empty_or_unknown() {
        let used = store(USED).unwrap().unwrap();
        assert_eq!(used.status, Status::Used);
        assert_eq!(
            used.fingerprint_sha1.as_deref(),
            Some("BEDE0D4B93708B0DBD23B7FAFBA070B923224E52")
        );
        assert_eq!(used.intermediates, 1);
        let empty = StoreState {
            status: Status::Empty,
            fingerprint_sha1: None,
            intermediates: 0,
        };
        assert_eq!(store(EMPTY), Some(Some(empty)));
        assert_eq!(store(UNKNOWN), Some(None));
        assert_eq!(store("Unknown command"), None);
    }

    #[test]
    fn several_answers_are_split_at_the_empty_lines() {
        let parts = format!("{USED}\n{UNKNOWN}\n{EMPTY}\n");
        let states: Vec<_> = split(&parts)
            .into_iter()
            .map(|part| store(part).unwrap().map(|state| state.status))
            .collect();
        assert_eq!(states, [Some(Status::Used), None, Some(Status::Empty)]);
    }

    #[test]
    fn answers_between_prompts_are_separated_wherever_the_stream_is_cut() {
        let stream = b"\n> New empty certificate store 'a'!\n\n> + + + Transaction created for certificate a!\n\n> Committing a\nSuccess!\n\n> ";
        for cut in 1..stream.len() {
            let (mut received, mut answers) = (Vec::new(), Vec::new());
            for piece in [&stream[..cut], &stream[cut..]] {
                received.extend_from_slice(piece);
                while let Some((answer, length)) = prompted(&received) {
                    received.drain(..length);
                    answers.push(answer);
                }
            }
            assert!(received.is_empty(), "{cut}");
            assert_eq!(answers.len(), 4, "{cut}");
            assert_eq!(
                staged(&answers[2]),
                Some(Staged::Created("a")),
                "{cut}: {answers:?}"
            );
            assert!(is_success(&answers[3]), "{cut}: {answers:?}");
        }
    }

    #[test]
    fn the_process_is_known_by_pid_and_start() {
        let answer = "Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nPid: 24275\nUptime_sec: 0\nStopping: 0\nStart_time_sec: 1795470259\n";
        let process = process(answer).unwrap();
        assert_eq!(
            (process.pid, process.started, process.stopping),
            (24275, 1_795_470_259, false)
        );
        assert!(!process.is_same(&Process {
            started: 1,
            ..process.clone()
        }));
        assert_eq!(super::process("Permission denied\n"), None);
    }

    #[test]
    fn listings_show_transaction_stores_and_lines() {
        let listing = stores("# transaction\n*/s/a.pem\n# filename\n/s/a.pem\n/s/b.pem\n\n");
        assert_eq!(listing.transaction.as_deref(), Some("/s/a.pem"));
        assert_eq!(listing.names, ["/s/a.pem", "/s/b.pem"]);
        let entries =
            list_entries("# /s/list.txt\n/s/a.pem:2\n/s/b.pem:3 [alpn h2] b.test !x.b.test\n\n")
                .unwrap();
        assert_eq!(
            entries[1],
            ListEntry {
                name: "/s/b.pem".to_owned(),
                line: 3
            }
        );
        assert_eq!(entries.len(), 2);
        assert_eq!(list_entries("didn't find the specified filename\n\n"), None);
    }

    #[test]
    fn the_overlap_bug_of_2_6_12_is_seen_in_the_answer() {
        assert_eq!(
            staged("Transaction created for certificate /s/a.pem!\n\n"),
            Some(Staged::Created("/s/a.pem"))
        );
        assert_eq!(
            staged("Transaction updated for certificate /s/b.pem!\n\n"),
            Some(Staged::Updated("/s/b.pem"))
        );
        assert_eq!(
            staged("unable to load certificate from file '/s/a.pem'.\nCan't load the payload\n"),
            None
        );
        let newer =
            "The ongoing transaction is about '/s/b.pem' but you are trying to set '/s/a.pem'\n";
        assert_eq!(ongoing_transaction(newer), Some("/s/b.pem"));
    }

    #[test]
    fn success_is_a_line_of_its_own() {
        assert!(is_success("Committing /s/a.pem..\nSuccess!\n\n"));
        assert!(!is_success(
            "Inserting certificate 'Success!' in crt-list\nunable to load\nFailed!\n"
        ));
    }

    proptest! {
        #[test]
        fn no_answer_makes_a_parser_panic(answer in "(?s).{0,300}") {
            for part in split(&answer) {
                let _ = (store(part), process(part), list_entries(part), staged(part));
            }
            let _ = (prompted(answer.as_bytes()), stores(&answer), ongoing_transaction(&answer), is_success(&answer));
        }
    }
}
