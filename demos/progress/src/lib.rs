//! A procedure that takes its time, and tells its caller how far it is.

use std::time::Duration;

use ipfi::{Callback, Fault};

/// How far it is, in percent, and what is being done; the answer is whether to go on.
pub type Report = Callback<(u8, String), bool>;

/// A kitchen.
#[ipfi::service]
pub trait Kitchen {
    /// Bakes a cake in so many steps, and reports each.
    async fn bake(&self, steps: u8, report: Report) -> Result<String, Fault>;
}

/// A kitchen whose steps take so long.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a demonstration")]
pub struct Oven(pub Duration);

impl Kitchen for Oven {
    async fn bake(&self, steps: u8, report: Report) -> Result<String, Fault> {
        for step in 1..=steps {
            tokio::time::sleep(self.0).await;
            let percent = u32::from(step) * 100 / u32::from(steps);
            let percent = u8::try_from(percent).unwrap_or(100);
            let what = if percent < 50 { "mixing" } else { "baking" };
            // A callback is called as a procedure is: it may fail, and it has a result.
            if !report.call((percent, what.into())).await? {
                return Err(Fault::new(format!("stopped at {percent} %")));
            }
        }
        Ok("a cake".into())
    }
}
