//! A plugin's daemon, handled by the commands of its description: away or mute for a while, and back afterwards.

use super::World;
use crate::case::{Finding, skip};

/// A daemon that is stopped or paused; it is back when this is dropped, or by [`Disturbed::mend`].
#[derive(Debug)]
pub struct Disturbed<'w> {
    world: &'w World<'w>,
    /// What brings it back; taken once it was.
    remedy: Option<&'w [String]>,
}

impl<'a> World<'a> {
    /// Ends the daemon as a crash would.
    ///
    /// # Errors
    /// Skips where there is none; or the command failed.
    pub fn stop_daemon(&'a self) -> Result<Disturbed<'a>, Finding> {
        self.disturb(|daemon| (&daemon.stop, &daemon.start))
    }

    /// Lets the daemon answer nobody.
    ///
    /// # Errors
    /// Skips where there is none; or the command failed.
    pub fn pause_daemon(&'a self) -> Result<Disturbed<'a>, Finding> {
        self.disturb(|daemon| (&daemon.pause, &daemon.resume))
    }

    fn disturb(
        &'a self,
        commands: impl Fn(&'a crate::subject::DaemonCommands) -> (&'a Vec<String>, &'a Vec<String>),
    ) -> Result<Disturbed<'a>, Finding> {
        let Some(daemon) = &self.subject().description.daemon else {
            return skip("the description does not say how to handle a daemon");
        };
        let (disturb, remedy) = commands(daemon);
        self.told(disturb)?;
        Ok(Disturbed {
            world: self,
            remedy: Some(remedy),
        })
    }
}

impl Disturbed<'_> {
    /// Brings the daemon back.
    ///
    /// # Errors
    /// The command failed.
    pub fn mend(mut self) -> Result<(), Finding> {
        if let Some(remedy) = self.remedy.take() {
            self.world.told(remedy)?;
        }
        Ok(())
    }
}

impl Drop for Disturbed<'_> {
    fn drop(&mut self) {
        if let Some(remedy) = self.remedy.take()
            && let Err(error) = self.world.told(remedy)
        {
            eprintln!("the daemon is not back: {error:#}");
        }
    }
}
