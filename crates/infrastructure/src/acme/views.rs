//! Conversion of the library's order and authorization to the types of our port.

use dps_application::ports::ca::{AuthorizationView, CaError, Http01, OrderStatus, OrderView};
use dps_domain::Failure;
use instant_acme::{
    AuthorizationState, AuthorizationStatus, Challenge, ChallengeStatus, ChallengeType,
};

use super::exchange::Exchange;
use super::problem::{Problem, Subject};

/// An order, with what the answer that showed it says beside.
pub(super) fn order(state: &instant_acme::OrderState, seen: &Exchange) -> OrderView {
    OrderView {
        status: match state.status {
            instant_acme::OrderStatus::Pending => OrderStatus::Pending,
            instant_acme::OrderStatus::Ready => OrderStatus::Ready,
            instant_acme::OrderStatus::Processing => OrderStatus::Processing,
            instant_acme::OrderStatus::Valid => OrderStatus::Valid,
            instant_acme::OrderStatus::Invalid => OrderStatus::Invalid,
        },
        retry_after: seen.next_poll(),
        expires: match seen {
            Exchange::Answer(answer) => answer.expires(),
            Exchange::None | Exchange::Fault(_) | Exchange::Local(_) | Exchange::Held(_) => None,
        },
        failure: state.error.as_ref().map(validation_failure),
    }
}

/// An authorization; the key authorization is made with the thumbprint of the account's key (RFC
/// 8555 §8.1).
pub(super) fn authorization(
    state: &AuthorizationState,
    thumbprint: &str,
) -> Result<AuthorizationView, CaError> {
    Ok(match state.status {
        AuthorizationStatus::Valid => AuthorizationView::Valid,
        AuthorizationStatus::Pending => {
            let challenge = http01(state).ok_or_else(not_offered)?;
            let proof = Http01 {
                url: challenge.url.clone(),
                token: challenge.token.clone(),
                key_authorization: format!("{}.{thumbprint}", challenge.token),
            };
            match challenge.status {
                ChallengeStatus::Pending => AuthorizationView::Pending(proof),
                // A challenge that ended takes its authorization along in a moment.
                ChallengeStatus::Processing | ChallengeStatus::Valid | ChallengeStatus::Invalid => {
                    AuthorizationView::Processing(proof)
                }
            }
        }
        AuthorizationStatus::Invalid => AuthorizationView::Invalid(failed(state)),
        AuthorizationStatus::Expired => AuthorizationView::Invalid(ended("expired")),
        AuthorizationStatus::Revoked => AuthorizationView::Invalid(ended("was revoked")),
        AuthorizationStatus::Deactivated => AuthorizationView::Invalid(ended("was deactivated")),
    })
}

/// The HTTP-01 challenge of an authorization.
pub(super) fn http01(state: &AuthorizationState) -> Option<&Challenge> {
    state
        .challenges
        .iter()
        .find(|challenge| challenge.r#type == ChallengeType::Http01)
}

/// The CA does not offer HTTP-01 for this name: a setting of the CA's, for an operator.
pub(super) fn not_offered() -> CaError {
    CaError::Malformed {
        kind: "noHttp01".to_owned(),
        detail: "the CA offers no http-01 challenge for this name".to_owned(),
    }
}

/// The CA says no more than that the validation failed.
fn failed(state: &AuthorizationState) -> Failure {
    let ours = http01(state).and_then(|challenge| challenge.error.as_ref());
    let any = || {
        state
            .challenges
            .iter()
            .find_map(|challenge| challenge.error.as_ref())
    };
    ours.or_else(any).map_or_else(
        || Failure::AcmeValidationFailed {
            sub_cause: "unknown".to_owned(),
            detail: "the CA did not say why".to_owned(),
            reached_by_us: false,
        },
        validation_failure,
    )
}

fn ended(how: &str) -> Failure {
    CaError::OrderGone {
        detail: format!("its authorization {how}"),
    }
    .into()
}

fn validation_failure(problem: &instant_acme::Problem) -> Failure {
    Problem::from(problem)
        .to_error(Subject::Validation, None)
        .into()
}
