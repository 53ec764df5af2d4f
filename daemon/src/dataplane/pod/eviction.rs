//! Freeing a host veth's name: a re-created StatefulSet pod has its predecessor's name at once, before the predecessor's
//! DEL came or its link was reaped.

use ipam::desired::REAPER_GROUP;
use nix::errno::Errno;

use super::Pods;
use crate::dataplane::DataplaneError;
use crate::dataplane::netlink::{Link, LinkChange, is, refused};
use crate::dataplane::reaper::doomed_name;

impl Pods {
    /// Sets the link down (which takes its routes away), renames it and leaves it to the reaper.
    pub(super) fn evict(&self, link: &Link) -> Result<(), DataplaneError> {
        tracing::info!(
            ifname = link.name,
            alias = link.alias,
            "evicting a link from its name"
        );
        if link.group != REAPER_GROUP {
            self.down(link)?;
        }
        let change = || LinkChange {
            name: Some(doomed_name(link.index)),
            group: Some(REAPER_GROUP),
            ..LinkChange::default()
        };
        let renamed = match self.host.set_link(link.index, change()) {
            // A doomed link may still be up, and kernels before 6.2 do not rename such a one.
            Err(error) if is(&error, Errno::EBUSY) => {
                self.down(link)?;
                self.host.set_link(link.index, change())
            }
            renamed => renamed,
        };
        match renamed {
            // Reaped in this very moment: the name is free.
            Err(error) if is(&error, Errno::ENODEV) => {}
            renamed => renamed.map_err(refused("ip link set name", &link.name))?,
        }
        self.reaper.wake();
        Ok(())
    }

    fn down(&self, link: &Link) -> Result<(), DataplaneError> {
        match self.host.set_link(link.index, LinkChange::down()) {
            Err(error) if is(&error, Errno::ENODEV) => Ok(()),
            set => set.map_err(refused("ip link set down", &link.name)),
        }
    }
}
