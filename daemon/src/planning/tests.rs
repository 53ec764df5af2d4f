//! The command as a person runs it, but for the process.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::*;

fn args(groups: &[&str], subnets: &[&str]) -> PlanArgs {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    PlanArgs {
        groups: owned(groups),
        subnets: owned(subnets),
        ..PlanArgs::default()
    }
}

fn output(args: &PlanArgs) -> Result<String, PlanError> {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    run(args, &mut out, &mut err)?;
    Ok(String::from_utf8(out).unwrap())
}

#[test]
fn a_page_fits_a_terminal_and_says_what_it_means() {
    let page = output(&args(
        &["m6a.32xlarge,count=43,pods=1,daemonset=2,host-network=3"],
        &["10.0.0.0/20,zone=us-west-2a,used=120"],
    ))
    .unwrap();
    for told in [
        "43 nodes with 129 pods, and 129 on the host network; a node joins every 10s",
        "10.0.0.0/20  us-west-2a      3,971     43             120",
        "\naws-default    10.0.0.0/20 runs dry with its 40th node",
        "\nberth          fits: ",
        "m6a.32xlarge    15              50      737    11,762           250",
    ] {
        assert!(page.contains(told), "{told} is missing in\n{page}");
    }
    for line in page.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn a_document_is_json_of_one_policy() {
    let args = PlanArgs {
        json: true,
        policies: vec!["cilium8".to_owned()],
        ..args(&["t3.medium,count=1,pods=3"], &["10.0.0.0/28"])
    };
    let document: serde_json::Value = serde_json::from_str(&output(&args).unwrap()).unwrap();
    assert_eq!(document["policies"][0]["policy"], "cilium8");
    assert_eq!(document["types"][0]["max_pods"]["singles"], 17);
    assert_eq!(document["types"][0]["vcpus"], 2);
}

#[test]
fn mistakes_come_with_names_of_types_and_files() {
    let error = output(&args(&["m6a.32xlarg,count=1"], &["10.0.0.0/20"])).unwrap_err();
    let told = error.to_string();
    assert!(told.contains("did you mean m6a.32xlarge"), "{told}");
    assert!(
        told.ends_with("`berthd plan --help` has the fields and examples"),
        "{told}"
    );
    let missing = PlanArgs {
        file: Some("/does/not/exist.json".into()),
        ..PlanArgs::default()
    };
    let told = output(&missing).unwrap_err().to_string();
    assert!(
        told.starts_with("cannot read /does/not/exist.json: "),
        "{told}"
    );
}

#[test]
fn a_picture_is_written_beside_the_page() {
    let directory = tempfile::tempdir().unwrap();
    let with = |path: PathBuf| PlanArgs {
        svg: Some(path),
        ..args(&["t3.medium,count=2,pods=3"], &["10.0.0.0/26"])
    };
    let path = directory.path().join("plan.svg");
    assert!(output(&with(path.clone())).unwrap().contains("2 nodes"));
    let svg = fs::read_to_string(path).unwrap();
    assert!(
        svg.starts_with("<svg") && svg.contains("aws-default"),
        "{svg}"
    );
    let told = output(&with("/does/not/exist.svg".into()))
        .unwrap_err()
        .to_string();
    assert!(
        told.starts_with("cannot write /does/not/exist.svg: "),
        "{told}"
    );
}

#[test]
fn the_help_names_every_field_and_policy() {
    use clap::CommandFactory;
    let mut command = crate::cli::Cli::command().term_width(0);
    let plan = command.find_subcommand_mut("plan").unwrap();
    let help = plan.render_long_help().to_string();
    let nonsense = args(
        &["m5.large,count=1,nonsense=1"],
        &["10.0.0.0/24,nonsense=1"],
    );
    let Err(PlanError::Input(problems)) = output(&nonsense) else {
        panic!("nonsense is understood")
    };
    for problem in problems.0 {
        let fleet::planning::Problem::UnknownField { known, .. } = problem else {
            panic!("{problem}")
        };
        for field in known.split(", ").filter(|field| *field != "cidr") {
            assert!(
                help.contains(&format!("{field}=")),
                "{field} is missing in\n{help}"
            );
        }
    }
    for policy in Policy::ALL {
        assert!(help.contains(&*policy.name()), "{policy}");
    }
}

#[test]
fn a_file_is_the_same_as_flags() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plan.json");
    let text = r#"{"groups": [{"type": "t3.medium", "count": 2, "pods": 3}],
                   "subnets": [{"cidr": "10.0.0.0/26"}]}"#;
    std::fs::write(&path, text).unwrap();
    let file = PlanArgs {
        file: Some(path),
        ..PlanArgs::default()
    };
    let flags = args(&["t3.medium,count=2,pods=3"], &["10.0.0.0/26"]);
    assert_eq!(output(&file).unwrap(), output(&flags).unwrap());
}
