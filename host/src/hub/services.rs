//! What stands behind the grants of steps: the tables of `process`, and requests to others.

use std::sync::Arc;

use sandbar_plugin::{http::Http, lookup::Lookup};
use sandbar_types::Name;

use super::outbound::{GrantedHttp, Outbound};
use crate::{
    catalog::{HttpGrant, Services},
    process::{GrantedTables, Tables},
};

/// The hub's services.
#[derive(Debug)]
pub(super) struct Granted {
    tables: Arc<Tables>,
    outbound: Arc<Outbound>,
}

impl Granted {
    pub(super) fn new(tables: Arc<Tables>) -> Result<Self, String> {
        let outbound = Arc::new(Outbound::new()?);
        Ok(Self { tables, outbound })
    }
}

impl Services for Granted {
    fn lookup(&self, topics: &[Name]) -> Arc<dyn Lookup> {
        let tables = topics.iter().map(|topic| self.tables.table(topic));
        Arc::new(GrantedTables(tables.collect()))
    }

    fn http(&self, grant: &HttpGrant) -> Arc<dyn Http> {
        Arc::new(GrantedHttp {
            outbound: self.outbound.clone(),
            grant: grant.clone(),
        })
    }
}
