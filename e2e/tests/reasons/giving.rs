//! What no pod waits for: calls that give back or protect. They rest long, say why, and keep no pod from anything.

use anyhow::ensure;
use e2e::mock::{Fault, FaultKind};

use crate::fixture::{PER_ENI, add_pods, answer, calls, eventually};
use crate::told::{Case, SLOW};

const MODIFY: &str = "ModifyNetworkInterfaceAttribute";

#[test]
fn protection_denied() -> anyhow::Result<()> {
    let case = Case {
        code: "UnauthorizedOperation",
        ..Case::served("protect", MODIFY, "AccessDenied", "")
    };
    let case = Case {
        words: "access denied for ec2:ModifyNetworkInterfaceAttribute",
        ..case
    };
    let Some(cluster) = case.start()? else {
        return Ok(());
    };
    let member = &cluster.members[0];
    let denied = Fault::always(MODIFY, FaultKind::AccessDenied);
    cluster.cloud().fault(denied);
    let pods = add_pods(member, "pod", PER_ENI + 2)?;
    answer(member, &pods)?;
    eventually(case.name, SLOW, || case.status_says(member))?;
    case.log_says_of_call(member)?;
    let asked = calls(&cluster, MODIFY).len();
    ensure!(asked == 1, "asked {asked} times within the minute");
    Ok(())
}
