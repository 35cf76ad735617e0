//! The keys with which requests to a store are signed, found as delta-rs finds those of the tables: it asks
//! the AWS SDK, which knows profiles, files of keys, roles and the keys of containers and machines.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use deltalake::logstore::object_store::aws::AwsCredential;
use deltalake::logstore::object_store::{CredentialProvider, Error as StoreError};
use tokio::sync::Mutex;

const STORE: &str = "S3";
/// How long keys are used before they are looked up again.
const FRESH: Duration = Duration::from_secs(60);

/// Keys of the SDK.
pub(super) struct StoreKeys {
    provider: SharedCredentialsProvider,
    known: Mutex<Option<(Credentials, Instant)>>,
}

impl StoreKeys {
    /// The SDK's, where delta-rs takes the SDK's: for AWS itself, or where `AWS_FORCE_CREDENTIAL_LOAD` or
    /// `AWS_S3_LOCKING_PROVIDER` says so. `None` where a store behind `AWS_ENDPOINT_URL` has keys of its own.
    pub async fn of_the_sdk() -> Option<Self> {
        let set = |name: &str| std::env::var_os(name).is_some();
        let elsewhere = set("AWS_ENDPOINT_URL") || set("AWS_ENDPOINT");
        let forced = set("AWS_FORCE_CREDENTIAL_LOAD") || set("AWS_S3_LOCKING_PROVIDER");
        if elsewhere && !forced {
            return None;
        }
        let chain = DefaultCredentialsChain::builder().build().await;
        let role = std::env::var("AWS_IAM_ROLE_ARN");
        let provider = match role.or_else(|_| std::env::var("AWS_S3_ASSUME_ROLE_ARN")) {
            Err(_) => SharedCredentialsProvider::new(chain),
            Ok(role) => {
                let mut assumed = AssumeRoleProvider::builder(role);
                if let Ok(name) = std::env::var("AWS_IAM_ROLE_SESSION_NAME") {
                    assumed = assumed.session_name(name);
                }
                let assumed = assumed.build().await;
                let both = CredentialsProviderChain::first_try("AssumeRoleProvider", assumed);
                SharedCredentialsProvider::new(both.or_else("DefaultChain", chain))
            }
        };
        Some(Self { provider, known: Mutex::default() })
    }
}

#[async_trait]
impl CredentialProvider for StoreKeys {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> Result<Arc<AwsCredential>, StoreError> {
        let mut known = self.known.lock().await;
        let fresh = known.as_ref().filter(|(keys, since)| {
            let ends = keys.expiry().is_some_and(|end| end <= SystemTime::now());
            since.elapsed() < FRESH && !ends
        });
        let keys = match fresh {
            Some((keys, _)) => keys.clone(),
            None => {
                let found = self.provider.provide_credentials().await;
                let found = found.map_err(|error| StoreError::Generic {
                    store: STORE,
                    source: Box::new(error),
                })?;
                *known = Some((found.clone(), Instant::now()));
                found
            }
        };
        Ok(Arc::new(AwsCredential {
            key_id: keys.access_key_id().to_owned(),
            secret_key: keys.secret_access_key().to_owned(),
            token: keys.session_token().map(str::to_owned),
        }))
    }
}

impl fmt::Debug for StoreKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreKeys").finish_non_exhaustive()
    }
}
