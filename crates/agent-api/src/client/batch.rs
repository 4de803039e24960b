//! Many certificates in as few calls as possible.

use reqwest::Method;
use secrecy::ExposeSecret;

use super::AgentClient;
use crate::{
    AgentError, Applied, ApplyRequest, BatchAnswer, BatchRequest, BatchResult, MAX_BATCH_BYTES,
    MAX_BATCH_CERTIFICATES, ProblemCode,
};

impl AgentClient {
    /// Has many certificates served, in as few calls as their number and size allow. The results
    /// come in the order of the requests. After a call that failed as a whole nothing more is
    /// asked, and every result that is missing is that failure. An agent that is too old for
    /// batches is called one by one.
    pub async fn apply_batch(&self, requests: &[ApplyRequest]) -> Vec<Result<Applied, AgentError>> {
        let mut results = Vec::with_capacity(requests.len());
        let mut remaining = requests;
        while !remaining.is_empty() {
            let (chunk, others) = remaining.split_at(chunk_length(remaining));
            match self.apply_chunk(chunk).await {
                Ok(answers) => results.extend(answers),
                Err(AgentError::Refused {
                    code:
                        ProblemCode::NotFound
                        | ProblemCode::MethodNotAllowed
                        | ProblemCode::RequestTooLarge,
                    ..
                }) => {
                    for request in chunk {
                        let result = self.apply(request).await;
                        let is_away = matches!(result, Err(AgentError::Unreachable { .. }));
                        results.push(result);
                        if is_away {
                            break;
                        }
                    }
                    if let Some(Err(error @ AgentError::Unreachable { .. })) = results.last() {
                        let error = error.repeated();
                        results.resize_with(requests.len(), || Err(error.repeated()));
                        return results;
                    }
                }
                Err(error) => {
                    let others: Vec<_> = remaining
                        .iter()
                        .skip(1)
                        .map(|_| Err(error.repeated()))
                        .collect();
                    results.push(Err(error));
                    results.extend(others);
                    return results;
                }
            }
            remaining = others;
        }
        results
    }

    async fn apply_chunk(
        &self,
        chunk: &[ApplyRequest],
    ) -> Result<Vec<Result<Applied, AgentError>>, AgentError> {
        let call = self
            .internal(
                Method::POST,
                &["internal", "v1", "certificates", "apply-batch"],
            )
            .json(&BatchRequest {
                certificates: chunk,
            });
        let answer: BatchAnswer = self.json(self.send(call).await?).await?;
        if answer.results.len() != chunk.len() {
            let detail = format!(
                "{} results for {} certificates",
                answer.results.len(),
                chunk.len()
            );
            return Err(self.not_an_agent(&detail));
        }
        let results = chunk.iter().zip(answer.results);
        Ok(results
            .map(|(request, result)| match result {
                BatchResult::Applied(applied) => self.confirm(request, applied),
                BatchResult::Refused(problem) => Err(self.refused(problem)),
            })
            .collect())
    }
}

/// How many of the requests fit into one call; at least one.
fn chunk_length(requests: &[ApplyRequest]) -> usize {
    let mut bytes = 0;
    let fits = |request: &&ApplyRequest| {
        // A line feed in PEM takes two bytes in JSON, once in 65; names and numbers take less than
        // 700.
        let pem = request.chain_pem.len() + request.private_key_pem.expose_secret().len();
        bytes += pem + pem / 30 + 700;
        bytes <= MAX_BATCH_BYTES
    };
    let count = requests
        .iter()
        .take(MAX_BATCH_CERTIFICATES)
        .take_while(fits);
    count.count().max(1)
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    fn request(pem_bytes: usize) -> ApplyRequest {
        ApplyRequest {
            hostname: dps_domain::Hostname::parse("a.example").unwrap(),
            chain_pem: format!("{}\n", "x".repeat(64)).repeat(pem_bytes / 65),
            private_key_pem: SecretString::from("y"),
            fingerprint: "0".repeat(64),
            generation: u64::MAX,
        }
    }

    #[test]
    fn a_call_stays_below_both_limits() {
        let small: Vec<_> = (0..300).map(|_| request(3000)).collect();
        assert_eq!(chunk_length(&small), MAX_BATCH_CERTIFICATES);
        let large: Vec<_> = (0..300).map(|_| request(60_000)).collect();
        let length = chunk_length(&large);
        assert!((60..70).contains(&length), "{length}");
        let body = serde_json::to_vec(&BatchRequest {
            certificates: &large[..length],
        });
        assert!(body.unwrap().len() <= MAX_BATCH_BYTES);
        assert_eq!(chunk_length(&[request(MAX_BATCH_BYTES)]), 1);
    }
}
