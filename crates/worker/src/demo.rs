//! `dps demo`: the whole world on loopback, with a real CA, a real HAProxy and real DNS packets,
//! and a story that shows it.

mod bare;
mod cast;
mod customer;
mod dns_desk;
mod fault;
mod fleet;
mod haproxy;
mod show;
mod story;
mod world;

use dps_host::shutdown;

pub use self::fault::Fault;
use self::show::Show;
use self::story::Outcome;
use self::world::World;

/// How the demo runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Ends after the story instead of staying up.
    pub once: bool,
    /// Ends with one line of JSON on standard output.
    pub json: bool,
    /// Domains that are added for the dashboard after the story; `None` for 200 if it stays up.
    pub domains: Option<u32>,
    /// A fault that is played at the end.
    pub fault: Option<Fault>,
}

impl Options {
    fn domains(&self) -> u32 {
        let usual = if self.once { 0 } else { fleet::DOMAINS };
        self.domains.unwrap_or(usual)
    }
}

/// Runs the demo. An error means that something did not happen as it should.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let stop = shutdown::token()?;
    let mut show = Show::new();
    show.line(
        "Starting a DNS server, Pebble (ACME), HAProxy, Cabinet, agent and service on loopback…",
    );
    let mut world = Box::pin(World::start(stop.child_token())).await?;
    show.lines(&world.dashboard());
    let played = tokio::select! {
        played = Box::pin(play(&mut world, &mut show, options)) => Some(played),
        () = stop.cancelled() => None,
    };
    let outcome = match played {
        Some(Ok(outcome)) => {
            if !options.once {
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

/// The story, the fleet, and the fault.
async fn play(world: &mut World, show: &mut Show, options: Options) -> anyhow::Result<Outcome> {
    let outcome = story::run(world, show).await?;
    fleet::fill(world, show, options.domains()).await?;
    if !options.once {
        show.lines(&world.invitation());
    }
    if let Some(fault) = options.fault {
        let lasts = if options.once {
            fault::ALONE
        } else {
            fault::WATCHED
        };
        fault::play(world, show, (fault, lasts)).await?;
    }
    Ok(outcome)
}
