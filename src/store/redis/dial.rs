//! How a connection comes about: to one server, to the one that the sentinels name, or to a cluster.

use std::time::Duration;

use redis::aio::{AsyncPushSender, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::RoutingInfo;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo,
    FromRedisValue, IntoConnectionInfo as _, ProtocolVersion, RedisConnectionInfo, RedisError,
    TlsCertificates, Value,
};

use super::fault::{Fault, unreachable_as};
use super::settings::{Address, Place, RedisSettings};
use crate::base::secret::Secret;
use crate::store::StoreError;

/// How many commands may wait to be written.
const QUEUE: usize = 1024;
/// How often a cluster's connection follows a redirection or asks another node.
const CLUSTER_RETRIES: u32 = 4;

/// A connection by which commands go; its clones are the same connection.
#[derive(Clone)]
pub(super) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Wire {
    /// The answer to a command.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        match self {
            Self::One(one) => command.query_async(&mut one.clone()).await,
            Self::Cluster(all) => command.query_async(&mut all.clone()).await,
        }
    }

    /// The answer to a command that goes to these nodes of a cluster, or to the one server.
    pub(super) async fn ask_at(
        &self,
        command: Cmd,
        nodes: RoutingInfo,
    ) -> Result<Value, RedisError> {
        match self {
            Self::One(one) => command.query_async(&mut one.clone()).await,
            Self::Cluster(all) => all.clone().route_command(command, nodes).await,
        }
    }
}

/// Makes connections.
#[derive(Debug)]
pub(super) struct Dialer {
    settings: RedisSettings,
}

impl Dialer {
    pub(super) fn new(settings: RedisSettings) -> Self {
        // The crate asks the process for its cryptography.
        crate::transport::tls::install_crypto();
        Self { settings }
    }

    /// How long one command may take, with the redirections of a cluster.
    pub(super) fn patience(&self) -> Duration {
        let answer = self.settings.response_timeout;
        match self.settings.place {
            Place::Cluster(_) => answer.saturating_add(self.settings.connect_timeout),
            Place::Single(..) | Place::Sentinel { .. } => answer,
        }
    }

    /// How long whoever needs a connection waits for one that is being made.
    pub(super) fn connect_timeout(&self) -> Duration {
        self.settings.connect_timeout
    }

    /// Whether one connection leads to several servers, of which each may fail by itself.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.settings.place, Place::Cluster(_))
    }

    /// A connection for commands; `pushed` hears when it breaks.
    pub(super) async fn wire(&self, pushed: impl AsyncPushSender) -> Result<Wire, Fault> {
        match &self.settings.place {
            Place::Single(..) | Place::Sentinel { .. } => Ok(Wire::One(self.one(pushed, 0).await?)),
            Place::Cluster(seeds) => {
                let seeds = seeds.iter().map(|seed| self.info(seed, 0));
                let seeds = seeds.collect::<Result<Vec<_>, _>>()?;
                let mut builder = ClusterClientBuilder::new(seeds)
                    .use_protocol(ProtocolVersion::RESP3)
                    .retries(CLUSTER_RETRIES)
                    .min_retry_wait(10)
                    .max_retry_wait(100)
                    .connection_timeout(self.settings.connect_timeout)
                    .response_timeout(self.settings.response_timeout);
                if self.settings.tls.is_some() {
                    builder = builder.certs(self.certificates());
                }
                let joining = async { builder.build()?.get_async_connection().await };
                Ok(Wire::Cluster(self.in_time(joining).await?))
            }
        }
    }

    /// A connection to one server that hears what is published; of a cluster to the `turn`th node.
    pub(super) async fn one(
        &self,
        pushed: impl AsyncPushSender,
        turn: usize,
    ) -> Result<MultiplexedConnection, Fault> {
        match &self.settings.place {
            Place::Single(address, database) => self.connect(address, *database, pushed).await,
            Place::Sentinel { master, sentinels } => {
                let address = self.master(master, sentinels).await?;
                let one = self.connect(&address, 0, pushed).await?;
                let asked = redis::cmd("ROLE");
                let role: Vec<Value> = self.in_time(asked.query_async(&mut one.clone())).await?;
                let role = role.into_iter().next();
                if role
                    .and_then(|role| String::from_redis_value(role).ok())
                    .as_deref()
                    != Some("master")
                {
                    return Err(absent("the sentinels name a server that is no master"));
                }
                Ok(one)
            }
            Place::Cluster(seeds) => {
                let seed = seeds.iter().cycle().nth(turn % seeds.len().max(1));
                let seed = seed.ok_or_else(|| absent("no node is known"))?;
                self.connect(seed, 0, pushed).await
            }
        }
    }

    /// Where the master is, by the first sentinel that knows.
    async fn master(&self, name: &str, sentinels: &[Address]) -> Result<Address, Fault> {
        let mut fault = absent("no sentinel is known");
        for sentinel in sentinels {
            match self.asked(sentinel, name).await {
                Ok(Some((host, port))) => return Ok(Address::Tcp(host, port)),
                Ok(None) => fault = absent("the sentinels know no master of this name"),
                Err(other) => fault = other,
            }
        }
        Err(fault)
    }

    async fn asked(&self, at: &Address, name: &str) -> Result<Option<(String, u16)>, Fault> {
        let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
        if let Some((user, password)) = &self.settings.sentinel_login {
            login = login.set_password(password.expose());
            if let Some(user) = user {
                login = login.set_username(user);
            }
        }
        let info = self.address(at)?.set_redis_settings(login);
        let client = self.client(info)?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        self.in_time(async {
            let config = self.config();
            let mut sentinel = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            command.query_async(&mut sentinel).await
        })
        .await
    }

    async fn connect(
        &self,
        address: &Address,
        database: u16,
        pushed: impl AsyncPushSender,
    ) -> Result<MultiplexedConnection, Fault> {
        let client = self.client(self.info(address, database)?)?;
        let config = self.config().set_push_sender(pushed);
        self.in_time(client.get_multiplexed_async_connection_with_config(&config))
            .await
    }

    /// Whatever is asked of a server that has not proved itself yet.
    async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Fault> {
        match tokio::time::timeout(self.settings.connect_timeout, asking).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Fault::silence()),
        }
    }

    fn config(&self) -> AsyncConnectionConfig {
        AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.connect_timeout))
            .set_response_timeout(Some(self.settings.response_timeout))
            .set_pipeline_buffer_size(QUEUE)
    }

    fn client(&self, info: ConnectionInfo) -> Result<Client, Fault> {
        let client = match self.settings.tls {
            Some(_) if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) => {
                Client::build_with_tls(info, self.certificates())
            }
            _ => Client::open(info),
        };
        Ok(client?)
    }

    fn info(&self, address: &Address, database: u16) -> Result<ConnectionInfo, Fault> {
        let settings = &self.settings;
        let mut login = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_skip_set_lib_name()
            .set_db(i64::from(database));
        if let Some(user) = &settings.username {
            login = login.set_username(user);
        }
        if let Some(password) = &settings.password {
            login = login.set_password(password.expose());
        }
        Ok(self.address(address)?.set_redis_settings(login))
    }

    fn address(&self, address: &Address) -> Result<ConnectionInfo, Fault> {
        let address = match address {
            Address::Unix(path) => ConnectionAddr::Unix(path.clone()),
            Address::Tcp(host, port) if self.settings.tls.is_some() => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
            Address::Tcp(host, port) => ConnectionAddr::Tcp(host.clone(), *port),
        };
        Ok(address.into_connection_info()?)
    }

    fn certificates(&self) -> TlsCertificates {
        let tls = self.settings.tls.clone().unwrap_or_default();
        let own = |(client_cert, key): (Vec<u8>, Secret)| ClientTlsConfig {
            client_cert,
            client_key: key.expose().as_bytes().to_vec(),
        };
        TlsCertificates {
            client_tls: tls.own.map(own),
            root_cert: tls.ca,
        }
    }
}

fn absent(why: &str) -> Fault {
    Fault {
        error: unreachable_as(why),
        severed: true,
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}
