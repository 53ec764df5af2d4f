//! The adapter as a program: a line of JSON on standard input is a call of the port, a line on standard output its
//! result. With it tests that do not link the SDK hold the adapter against servers that others wrote; by hand it shows
//! what an error of EC2 is taken for. Endpoint, region and credentials come from the SDK's environment variables.
//!
//! `{"call":"assign_private_ip_addresses","eni":"eni-1","count":2}` is answered with `{"ok":...}`, with
//! `{"error":{"action":...,"kind":...,"code":...,"message":...}}`, or, where the line makes no sense, `{"bad":"why"}`.
//! Calls are made one after another, each exactly once; the program ends with its input.

mod answer;
mod arguments;

use std::io::{self, BufRead, Write};

use arguments::{Arguments, Bad};
use ec2::aws::{AwsEc2, AwsMetadata, Transport};
use ec2::{CreateNetworkInterface, Ec2, Metadata};
use serde_json::{Value, json};

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let metadata = AwsMetadata::connect();
    let cloud = AwsEc2::connect(metadata.clone(), Transport::default());
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let reply = runtime.block_on(reply(&cloud, &metadata, &line?));
        writeln!(out, "{reply}")?;
        out.flush()?;
    }
    Ok(())
}

/// The line that answers `line`.
async fn reply(cloud: &AwsEc2, metadata: &AwsMetadata, line: &str) -> Value {
    let result = match Arguments::parse(line) {
        Ok(arguments) => perform(cloud, metadata, &arguments).await,
        Err(bad) => Err(bad.into()),
    };
    match result {
        Ok(value) => json!({ "ok": value }),
        Err(Trouble::Bad(Bad(why))) => json!({ "bad": why }),
        Err(Trouble::Failed(error)) => json!({ "error": error }),
    }
}

/// Why a call has no result.
enum Trouble {
    Bad(Bad),
    Failed(Value),
}

impl From<Bad> for Trouble {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

impl From<ec2::Ec2Error> for Trouble {
    fn from(error: ec2::Ec2Error) -> Self {
        Self::Failed(answer::error(&error))
    }
}

impl From<ec2::MetadataError> for Trouble {
    fn from(error: ec2::MetadataError) -> Self {
        Self::Failed(answer::metadata_error(&error))
    }
}

/// Makes the call.
async fn perform(
    cloud: &AwsEc2,
    metadata: &AwsMetadata,
    with: &Arguments,
) -> Result<Value, Trouble> {
    let done = |()| Value::Null;
    Ok(match with.text("call")? {
        "create_network_interface" => create(cloud, with).await?,
        "attach_network_interface" => {
            let (eni, instance) = (with.text("eni")?, with.text("instance")?);
            let index = with.number("device_index")?;
            json!(cloud.attach_network_interface(eni, instance, index).await?)
        }
        "set_delete_on_termination" => {
            let (eni, attachment) = (with.text("eni")?, with.text("attachment")?);
            done(cloud.set_delete_on_termination(eni, attachment).await?)
        }
        "assign_private_ip_addresses" => {
            let (eni, count) = (with.text("eni")?, with.number("count")?);
            json!(cloud.assign_private_ip_addresses(eni, count).await?)
        }
        "assign_ipv4_prefixes" => {
            let (eni, count) = (with.text("eni")?, with.number("count")?);
            let prefixes = cloud.assign_ipv4_prefixes(eni, count).await?;
            prefixes.iter().map(ToString::to_string).collect()
        }
        "unassign_private_ip_addresses" => done(unassign(cloud, with).await?),
        "detach_network_interface" => done(
            cloud
                .detach_network_interface(with.text("attachment")?)
                .await?,
        ),
        "delete_network_interface" => {
            done(cloud.delete_network_interface(with.text("eni")?).await?)
        }
        "describe_network_interfaces" => {
            let shown = cloud.describe_network_interfaces(&with.describe()?).await?;
            shown.iter().map(answer::interface).collect()
        }
        "describe_subnet" => json!(cloud.describe_subnet(with.text("subnet")?).await?),
        "describe_instance_type" => answer::limits(
            cloud
                .describe_instance_type(with.text("instance_type")?)
                .await?,
        ),
        "identity" => answer::identity(&metadata.identity().await?),
        "interfaces" => {
            let shown = metadata.interfaces().await?;
            shown.iter().map(answer::metadata_interface).collect()
        }
        other => return Err(Bad(format!("no call is named {other:?}")).into()),
    })
}

async fn create(cloud: &AwsEc2, with: &Arguments) -> Result<Value, Trouble> {
    let request = CreateNetworkInterface {
        subnet_id: with.text("subnet_id")?.to_owned(),
        security_groups: with.texts("security_groups")?,
        description: with.text("description")?.to_owned(),
        tags: with.tags("tags")?,
        secondary_addresses: with.number("secondary_addresses")?,
        prefixes: with.number_or_none("prefixes")?,
        client_token: with.text("client_token")?.to_owned(),
    };
    let made = cloud.create_network_interface(&request).await?;
    Ok(answer::interface(&made))
}

async fn unassign(cloud: &AwsEc2, with: &Arguments) -> Result<(), Trouble> {
    let (eni, addresses) = (with.text("eni")?, with.addresses("addresses")?);
    let prefixes = with.prefixes_or_none("prefixes")?;
    let call = cloud.unassign_private_ip_addresses(eni, &addresses, &prefixes);
    Ok(call.await?)
}
