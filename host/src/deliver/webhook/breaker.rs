//! The circuit breaker of an endpoint: a pure state machine.
//!
//! ```text
//!            failures in a row                 the pause is over
//!  closed ───────────────────────▶ open ─────────────────────────▶ half open
//!    ▲                              ▲                                 │ one request at a time
//!    │                              └──── it fails: a longer pause ───┤
//!    └─────────────────────────────────── it succeeds ────────────────┘
//! ```
//!
//! Only what tells of the endpoint counts as failure: an endpoint that refuses one event as
//! malformed is up. Times are milliseconds since the epoch, of a clock that nobody sets, and come in
//! as arguments, as jitter does.

use serde::Serialize;
use utoipa::ToSchema;

/// When to open, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Failures in a row that open it; at least 1.
    pub failures: u32,
    /// The first pause, doubled for each further one.
    pub initial_ms: u64,
    pub max_ms: u64,
}

/// As it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Requests are sent.
    Closed,
    /// Nothing is sent for a while.
    Open,
    /// One request at a time is sent, to see.
    HalfOpen,
}

/// What may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// As many as the endpoint's concurrency allows.
    Free,
    /// One, and nothing beside it.
    Probe,
    /// Nothing until then.
    NotBefore(u64),
    /// Nothing until the probe has come back.
    Probing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: u64,
        pauses: u32,
        /// As long as the endpoint asked for.
        asked: Option<u64>,
    },
    HalfOpen {
        probing: bool,
        pauses: u32,
    },
}

/// The breaker of one endpoint.
#[derive(Clone, Debug)]
pub struct Breaker {
    policy: Policy,
    state: State,
}

impl Breaker {
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        Self {
            policy,
            state: State::Closed { failures: 0 },
        }
    }

    /// One that is open until then, because the endpoint asked for it before.
    #[must_use]
    pub fn paused(policy: Policy, until: u64) -> Self {
        let state = State::Open {
            until,
            pauses: 0,
            asked: Some(until),
        };
        Self { policy, state }
    }

    /// Until when the endpoint asked not to be called, while that holds it open.
    #[must_use]
    pub fn asked(&self) -> Option<u64> {
        match self.state {
            State::Open { asked, .. } => asked,
            _ => None,
        }
    }

    /// Somebody knows better: requests are sent again.
    pub fn close(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    #[must_use]
    pub fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// When the pause ends, if there is one.
    #[must_use]
    pub fn until(&self) -> Option<u64> {
        match self.state {
            State::Open { until, .. } => Some(until),
            _ => None,
        }
    }

    /// What may be sent now.
    pub fn permit(&mut self, now: u64) -> Permit {
        if let State::Open { until, pauses, .. } = self.state
            && until <= now
        {
            self.state = State::HalfOpen {
                probing: false,
                pauses,
            };
        }
        match self.state {
            State::Closed { .. } => Permit::Free,
            State::Open { until, .. } => Permit::NotBefore(until),
            State::HalfOpen { probing: true, .. } => Permit::Probing,
            State::HalfOpen { probing: false, .. } => Permit::Probe,
        }
    }

    /// A request is on its way.
    pub fn sent(&mut self) {
        if let State::HalfOpen { probing, .. } = &mut self.state {
            *probing = true;
        }
    }

    /// The endpoint did what it is there for, or refused a single event: it is up.
    /// What was sent before it opened changes nothing: the endpoint may have asked for the pause.
    pub fn succeeded(&mut self) {
        if !matches!(self.state, State::Open { .. }) {
            self.state = State::Closed { failures: 0 };
        }
    }

    /// The endpoint failed. `jitter` is within 0 and 1; `at_least` is the time in milliseconds for
    /// which it asked not to be called (Retry-After), which opens the breaker at once.
    pub fn failed(&mut self, now: u64, jitter: f64, at_least: Option<u64>) {
        let asked = at_least.unwrap_or(0);
        match self.state {
            State::Closed { failures } => {
                let failures = failures + 1;
                if failures >= self.policy.failures || asked > 0 {
                    self.open(now, 0, jitter, asked);
                } else {
                    self.state = State::Closed { failures };
                }
            }
            // Sent before it opened; the endpoint's wish counts nevertheless.
            State::Open {
                until,
                pauses,
                asked: before,
            } => {
                let wish = (asked > 0).then(|| now.saturating_add(asked));
                self.state = State::Open {
                    until: until.max(wish.unwrap_or(0)),
                    pauses,
                    asked: before.max(wish),
                };
            }
            State::HalfOpen { pauses, .. } => self.open(now, pauses, jitter, asked),
        }
    }

    /// The probe was given up without an answer of the endpoint.
    pub fn withdrawn(&mut self) {
        if let State::HalfOpen { probing, .. } = &mut self.state {
            *probing = false;
        }
    }

    fn open(&mut self, now: u64, pauses: u32, jitter: f64, asked: u64) {
        let full = self
            .policy
            .initial_ms
            .saturating_mul(1 << pauses.min(32))
            .min(self.policy.max_ms)
            .max(1);
        // Half of the pause at least: endpoints of one service are not to be called at once.
        let pause = full / 2 + ((full - full / 2) as f64 * jitter.clamp(0.0, 1.0)) as u64;
        self.state = State::Open {
            until: now.saturating_add(pause.max(asked)),
            pauses: pauses.saturating_add(1),
            asked: (asked > 0).then(|| now.saturating_add(asked)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        failures: 3,
        initial_ms: 100,
        max_ms: 1000,
    };

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(POLICY);
        for _ in 0..3 {
            breaker.failed(1000, 1.0, None);
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it() {
        let mut breaker = Breaker::new(POLICY);
        for _ in 0..10 {
            breaker.failed(0, 1.0, None);
            breaker.failed(0, 1.0, None);
            breaker.succeeded();
        }
        assert_eq!(breaker.permit(0), Permit::Free);
        for _ in 0..3 {
            breaker.failed(1000, 1.0, None);
        }
        assert_eq!(breaker.permit(1000), Permit::NotBefore(1100));
        assert_eq!(breaker.state(), BreakerState::Open);
    }

    #[test]
    fn after_the_pause_there_is_one_request_at_a_time() {
        let mut breaker = opened();
        assert_eq!(breaker.permit(1099), Permit::NotBefore(1100));
        assert_eq!(breaker.permit(1100), Permit::Probe);
        breaker.sent();
        assert_eq!(breaker.permit(9999), Permit::Probing);
        breaker.withdrawn();
        assert_eq!(breaker.permit(9999), Permit::Probe);
        breaker.sent();
        breaker.succeeded();
        assert_eq!(breaker.permit(9999), Permit::Free);
    }

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let mut breaker = opened();
        let mut now = 1100;
        for pause in [200, 400, 800, 1000, 1000] {
            assert_eq!(breaker.permit(now), Permit::Probe);
            breaker.sent();
            breaker.failed(now, 1.0, None);
            assert_eq!(breaker.permit(now), Permit::NotBefore(now + pause));
            now += pause;
        }
        assert_eq!(breaker.permit(now), Permit::Probe);
        breaker.succeeded();
        for _ in 0..3 {
            breaker.failed(now, 1.0, None);
        }
        assert_eq!(breaker.permit(now), Permit::NotBefore(now + 100));
    }

    #[test]
    fn jitter_is_within_half_and_the_whole_pause() {
        for (jitter, until) in [(0.0, 1050), (0.5, 1075), (1.0, 1100)] {
            let mut breaker = Breaker::new(Policy {
                failures: 1,
                ..POLICY
            });
            breaker.failed(1000, jitter, None);
            assert_eq!(breaker.permit(1000), Permit::NotBefore(until));
        }
    }

    #[test]
    fn an_endpoint_that_asks_for_time_gets_it() {
        let mut breaker = Breaker::new(POLICY);
        breaker.failed(1000, 1.0, Some(5000));
        assert_eq!(breaker.permit(1000), Permit::NotBefore(6000));
        // An answer to a request from before asks for more, or for less.
        breaker.failed(2000, 1.0, Some(7000));
        breaker.failed(2000, 1.0, None);
        breaker.succeeded();
        assert_eq!(breaker.permit(2000), Permit::NotBefore(9000));
        assert_eq!(breaker.asked(), Some(9000));
        // What was asked for holds over a restart; a pause of our own need not.
        let mut again = Breaker::paused(POLICY, 9000);
        assert_eq!(again.permit(8999), Permit::NotBefore(9000));
        assert_eq!(again.permit(9000), Permit::Probe);
        assert_eq!((again.asked(), opened().asked()), (None, None));
    }

    #[test]
    fn it_is_closed_by_hand_at_any_time() {
        let mut breaker = Breaker::new(POLICY);
        breaker.failed(1000, 1.0, Some(86_400_000));
        breaker.close();
        assert_eq!(breaker.permit(1000), Permit::Free);
        assert_eq!((breaker.until(), breaker.asked()), (None, None));
        let mut probing = opened();
        assert_eq!(probing.permit(1100), Permit::Probe);
        probing.sent();
        probing.close();
        probing.failed(1100, 1.0, None);
        assert_eq!(probing.permit(1100), Permit::Free);
    }
}
