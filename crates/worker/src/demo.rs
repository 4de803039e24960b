//! `dps demo`: the whole world on loopback, with a real CA, a real HAProxy and real DNS packets,
//! and a story that shows it.

mod bare;
mod cast;
mod customer;
mod dns_desk;
mod haproxy;
mod show;
mod story;
mod world;

use dps_host::shutdown;

use self::show::Show;
use self::world::World;

/// How the demo runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Ends after the story instead of staying up.
    pub once: bool,
    /// Ends with one line of JSON on standard output.
    pub json: bool,
}

/// Runs the demo. An error means that something did not happen as it should.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let stop = shutdown::token()?;
    let mut show = Show::new();
    show.line(
        "Starting a DNS server, Pebble (ACME), HAProxy, Cabinet, agent and service on loopback…",
    );
    let world = Box::pin(World::start(stop.child_token())).await?;
    let shown = tokio::select! {
        shown = story::run(&world, &mut show) => Some(shown),
        () = stop.cancelled() => None,
    };
    let outcome = match shown {
        Some(Ok(outcome)) => {
            if !options.once {
                show.lines(&world.invitation());
                stop.cancelled().await;
            }
            Ok(Some(outcome))
        }
        Some(Err(error)) => Err(error.context(format!(
            "the log of the service is in {}",
            world.keep_logs()
        ))),
        None => Ok(None),
    };
    show.line("Stopping…");
    world.stop().await?;
    if let Some(outcome) = outcome?
        && options.json
    {
        show.line(&serde_json::to_string(&outcome)?);
    }
    Ok(())
}
