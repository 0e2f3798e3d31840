//! `callmeter run`, from the configuration to the orderly shutdown.

use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use callmeter_error_chain::chain;
use callmeter_journal::Journal;
use callmeter_meter::Meter;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tracing::{error, info, warn};

use crate::cli::WebArgs;
use crate::config::{self, Loaded};
use crate::control;
use crate::descriptors;
use crate::exit::Failure;
use crate::pipeline::{self, Pipeline};
use crate::reload::Reloader;
use crate::secret_redactor::SecretRedactor;
use crate::selfmetrics::SelfMetrics;
use crate::service_manager;
use crate::sources::Supervisor;
use crate::status::StatusStore;
use crate::stop::{Stop, StopSender, stop};
use crate::web::{self, Access, Reload, ReloadRequest, WebState};

/// A program that is about to start: its configuration is valid and it listens.
#[derive(Debug)]
pub struct Startup {
    loaded: Loaded,
    web: WebArgs,
    access: Arc<Access>,
    redactor: Arc<SecretRedactor>,
    listeners: Vec<TcpListener>,
}

impl Startup {
    /// Reads the configurations and listens: on the sockets of the service manager, or without any
    /// on the addresses of the flags.
    ///
    /// # Errors
    /// If a configuration is not valid, or an address is invalid, in use, or not permitted.
    pub async fn new(
        config_file: &Path,
        web: WebArgs,
        sockets: Vec<std::net::TcpListener>,
        redactor: Arc<SecretRedactor>,
    ) -> Result<Self, Failure> {
        descriptors::raise_limit();
        let loaded = config::load(config_file)?;
        descriptors::check(&loaded.config);
        let access = Access::open(web.web_config_file.as_deref()).map_err(Failure::WebConfig)?;
        info!(
            version = crate::build::VERSION,
            revision = crate::build::REVISION,
            config = %config_file.display(),
            "callmeter is starting"
        );
        let listeners = if sockets.is_empty() {
            web::bind_all(&web.listen_address).await
        } else {
            web::adopt(sockets)
        };
        let listeners = listeners.map_err(Failure::failed)?;
        Ok(Self {
            loaded,
            web,
            access,
            redactor,
            listeners,
        })
    }

    /// The addresses of the sockets, with the ports that the system chose.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let address = |listener: &TcpListener| listener.local_addr().ok();
        self.listeners.iter().filter_map(address).collect()
    }
}

/// How the program shut down.
#[derive(Debug)]
pub struct Shutdown {
    /// Outputs whose plugins are still running. Their process must not exit in the usual way, see
    /// [`callmeter_plugin_host::exit_now`].
    pub late_outputs: Vec<String>,
}

/// The interval at which the secrets of outputs are read again.
const OUTPUT_SECRETS: Duration = Duration::from_secs(10);
/// How long the shutdown waits for polls to end after a page.
const POLLS_LIMIT: Duration = Duration::from_secs(10);
/// How long the shutdown waits for outputs to flush.
const OUTPUTS_LIMIT: Duration = Duration::from_secs(15);
/// How long the shutdown waits for requests in progress.
const REQUESTS_LIMIT: Duration = Duration::from_secs(5);

/// Runs until SIGTERM, SIGINT or `ended`.
///
/// # Errors
/// If the program cannot start. Later failures are shown and retried.
pub async fn run(
    startup: Startup,
    mut signals: Signals,
    mut ended: Stop,
) -> Result<Shutdown, Failure> {
    let Startup {
        loaded,
        web,
        access,
        redactor,
        listeners,
    } = startup;
    let shown = Shown::new(loaded, redactor)?;
    let (reload, reload_requests) = Reload::channel();
    let (stop_servers, stopped) = stop();
    let state = shown.web_state(web, access, reload);
    let servers = serve(listeners, &state, &stopped);
    // The journal may be large: counting it takes minutes, in which pages say so.
    let pipeline = tokio::select! {
        opened = service_manager::while_starting(shown.open_pipeline()) => opened?,
        () = signals.shutdown() => return Ok(shut_down_early()),
        () = ended.stopped() => return Ok(shut_down_early()),
    };
    let journal = pipeline.app().journal;
    let start = App::start(
        shown,
        pipeline,
        reload_requests,
        (servers, stop_servers),
        &stopped,
    );
    let (app, is_told_to_stop) = finish(Box::pin(start), &mut signals, &mut ended, &journal).await;
    let mut app = app?;
    if !is_told_to_stop {
        app.run_until(&mut signals, ended).await?;
    }
    Ok(app.shut_down().await)
}

/// Finishes `work`; also says whether the program was told to stop meanwhile. Then the work does
/// not wait for a server of the journal that does not answer.
async fn finish<T>(
    work: impl Future<Output = T>,
    signals: &mut Signals,
    ended: &mut Stop,
    journal: &Journal,
) -> (T, bool) {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => return (done, false),
        () = signals.shutdown() => {}
        () = ended.stopped() => {}
    }
    (pipeline::finish(journal, work).await, true)
}

/// The signals that the program handles. Until this exists, each of them kills the process.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Handles the signals from now on.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> Result<Self, Failure> {
        let listen = |kind| signal(kind).map_err(Failure::failed);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for a signal to shut down.
    async fn shutdown(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Nothing runs yet but the web server.
fn shut_down_early() -> Shutdown {
    info!("callmeter has shut down before its start was complete");
    Shutdown {
        late_outputs: Vec::new(),
    }
}

/// What the web server shows, from the moment at which it listens.
struct Shown {
    reloader: Reloader,
    meter: Arc<Meter>,
    status: Arc<StatusStore>,
    metrics: SelfMetrics,
    redactor: Arc<SecretRedactor>,
}

impl Shown {
    fn new(loaded: Loaded, redactor: Arc<SecretRedactor>) -> Result<Self, Failure> {
        let metrics = SelfMetrics::new().map_err(Failure::failed)?;
        let meter = Arc::new(Meter::starting());
        let status = Arc::new(StatusStore::new(
            &loaded.file,
            Timestamp::now(),
            Arc::clone(&meter),
            metrics.clone(),
        ));
        let reloader = Reloader::new(loaded, &metrics, &status, &redactor);
        Ok(Self {
            reloader,
            meter,
            status,
            metrics,
            redactor,
        })
    }

    async fn open_pipeline(&self) -> Result<Pipeline, Failure> {
        let (meter, status) = (Arc::clone(&self.meter), Arc::clone(&self.status));
        let config = self.reloader.config();
        Pipeline::open(config, meter, status, &self.metrics, &self.redactor).await
    }

    fn web_state(&self, args: WebArgs, access: Arc<Access>, reload: Reload) -> WebState {
        WebState {
            meter: Arc::clone(&self.meter),
            metrics: self.metrics.clone(),
            status: Arc::clone(&self.status),
            redactor: Arc::clone(&self.redactor),
            config_page: self.reloader.config_page(),
            created_lines: self.reloader.config().metrics.created_timestamps,
            access,
            reload,
            args,
        }
    }
}

/// A change of what runs.
enum Change {
    /// The instances share the work in another way.
    ShareWork,
    /// The secrets of outputs may have changed.
    Secrets,
    /// The configuration is read again, perhaps because a client asked for it.
    Reload(Option<ReloadRequest>),
}

/// The running program.
struct App {
    pipeline: Pipeline,
    supervisor: Supervisor,
    reloader: Reloader,
    reload_requests: mpsc::Receiver<ReloadRequest>,
    servers: JoinSet<std::io::Result<()>>,
    control: JoinSet<()>,
    stop_servers: StopSender,
    /// Runs until the program has shut down.
    _watchdog: JoinSet<()>,
}

impl App {
    async fn start(
        shown: Shown,
        mut pipeline: Pipeline,
        reload_requests: mpsc::Receiver<ReloadRequest>,
        (servers, stop_servers): (JoinSet<std::io::Result<()>>, StopSender),
        stopped: &Stop,
    ) -> Result<Self, Failure> {
        let reloader = shown.reloader;
        let config = reloader.config();
        let mut supervisor = Supervisor::new(pipeline.app()).map_err(Failure::failed)?;
        let changes = supervisor
            .plan(&pipeline.part(config).accounts)
            .map_err(with_causes)?;
        pipeline.start_outputs(config).await.map_err(with_causes)?;
        supervisor.apply(changes).await;
        pipeline.show_accounts(config);
        let control = control::serve(pipeline.app(), &config.journal.place, stopped.clone());
        let app = Self {
            pipeline,
            supervisor,
            reloader,
            reload_requests,
            servers,
            control,
            stop_servers,
            _watchdog: service_manager::feed_watchdog(),
        };
        app.set_ready(true);
        service_manager::ready(&app.reloader.summary());
        Ok(app)
    }

    fn set_ready(&self, ready: bool) {
        let app = self.pipeline.app();
        app.status.set_ready(ready);
        app.metrics.ready.set(i64::from(app.status.is_ready()));
    }

    /// Reloads the configuration on request, and returns when it is time to shut down.
    async fn run_until(&mut self, signals: &mut Signals, mut ended: Stop) -> Result<(), Failure> {
        let mut secrets = tokio::time::interval(OUTPUT_SECRETS);
        secrets.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let change = tokio::select! {
                _ = signals.terminate.recv() => return Ok(()),
                _ = signals.interrupt.recv() => return Ok(()),
                () = ended.stopped() => return Ok(()),
                Some(result) = self.servers.join_next() => {
                    return Err(Failure::failed(format!("the web server ended: {result:?}")));
                }
                _ = signals.hangup.recv() => Change::Reload(None),
                () = self.pipeline.next_round() => Change::ShareWork,
                _ = secrets.tick() => Change::Secrets,
                Some(request) = self.reload_requests.recv() => Change::Reload(Some(request)),
            };
            let journal = self.pipeline.app().journal;
            let ((), is_told_to_stop) =
                finish(Box::pin(self.change(change)), signals, &mut ended, &journal).await;
            if is_told_to_stop {
                return Ok(());
            }
        }
    }

    async fn change(&mut self, change: Change) {
        match change {
            Change::ShareWork => self.share_work().await,
            Change::Secrets => self.pipeline.follow_output_secrets().await,
            Change::Reload(request) => {
                // The result is in log, status and metrics.
                let result = self.reload().await;
                if let Some(request) = request {
                    // The client may have gone away.
                    let _sent = request.send(result);
                }
            }
        }
    }

    /// Works on what this instance holds now: first ends what it does not, then gives up what it
    /// has to, then begins what is new.
    async fn share_work(&mut self) {
        let Some(turn) = self.pipeline.take_turn() else {
            return;
        };
        let kept = self.pipeline.kept(&turn.work);
        self.pipeline.hold(kept);
        self.run_part().await;
        if !turn.release.is_empty() {
            self.pipeline.release(turn.release).await;
        }
        self.pipeline.hold(turn.work);
        self.run_part().await;
    }

    /// Polls the accounts and runs the outputs that this instance works on.
    async fn run_part(&mut self) {
        let config = self.reloader.config();
        let part = self.pipeline.part(config);
        match self.supervisor.plan(&part.accounts) {
            Ok(changes) => self.supervisor.apply(changes).await,
            Err(error) => error!(error = chain(&error), "accounts cannot be polled"),
        }
        self.pipeline.start_part(config).await;
        self.pipeline.show_accounts(config);
    }

    async fn reload(&mut self) -> Result<(), String> {
        service_manager::reloading();
        let result = self
            .reloader
            .reload(&mut self.pipeline, &mut self.supervisor)
            .await;
        service_manager::ready(&self.reloader.summary());
        result
    }

    async fn shut_down(mut self) -> Shutdown {
        info!("callmeter is shutting down");
        service_manager::stopping();
        self.set_ready(false);
        self.supervisor.stop(POLLS_LIMIT).await;
        let late_outputs = self.pipeline.close(OUTPUTS_LIMIT).await;
        self.stop_servers.stop();
        let served = tokio::time::timeout(REQUESTS_LIMIT, async {
            while self.servers.join_next().await.is_some() {}
            while self.control.join_next().await.is_some() {}
        });
        if served.await.is_err() {
            warn!("requests in progress were aborted");
        }
        info!("callmeter has shut down");
        Shutdown { late_outputs }
    }
}

/// A failure with all its causes: an account's name alone says nothing.
fn with_causes(error: impl std::error::Error + 'static) -> Failure {
    Failure::failed(chain(&error))
}

/// Starts a server for each socket.
fn serve(
    listeners: Vec<TcpListener>,
    state: &WebState,
    stopped: &Stop,
) -> JoinSet<std::io::Result<()>> {
    let mut servers = JoinSet::new();
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            info!(%address, "listening");
        }
        servers.spawn(web::serve(listener, state.clone(), stopped.clone()));
    }
    servers
}
