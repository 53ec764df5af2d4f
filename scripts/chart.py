#!/usr/bin/env python3
"""Renders the Helm chart with Helm's own library, and checks it.

    chart.py render         print the manifests for the default values: deploy/berth.yaml
    chart.py check BERTHD   check chart and manifests; BERTHD is the built program, whose help lists its settings

Run by scripts/check-deploy, which installs what this needs.
"""

import pathlib
import re
import subprocess
import sys

import helm_python
import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent
CHART = ROOT / "deploy/helm/berth"
MANIFESTS = ROOT / "deploy/berth.yaml"
# The oldest release that EKS still offers with extended support and the newest that the schemas know.
KUBERNETES = ["1.30", "1.37"]
HEADER = """\
# berth for a cluster without Helm: the chart deploy/helm/berth with its default values. Made by `make manifests`, do not
# edit. `kubectl apply -f` it once the image is where the nodes can pull it, and its name is here.
"""

# Values that use everything that the chart can do.
EVERYTHING = {
    "image": {"repository": "r.example/berth", "digest": "sha256:" + "0" * 64, "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "env": {"POD_MTU": "1500", "ENABLE_BANDWIDTH_PLUGIN": "true", "ADDITIONAL_ENI_TAGS": '{"team":"net"}'},
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/berth"}},
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "berth", "operator": "Exists"}]}]}}},
    "nodeSelector": {"network": "berth"},
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "priorityClassName": "system-cluster-critical",
    "resources": {"requests": {"cpu": "50m"}, "limits": {"memory": "128Mi"}},
    "updateStrategy": {"type": "OnDelete"},
    "readinessProbe": None,
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d"},
}
# Values with a mistake each, and what Helm must name.
MISTAKES = [
    ({"env": {"POD_MTU": 1500}}, "/env/POD_MTU"),
    ({"enviroment": {}}, "enviroment"),
    ({"image": {"repository": ""}}, "/image/repository"),
    ({"image": {"digest": "latest"}}, "/image/digest"),
    ({"updateStrategy": {"type": "Recreate"}}, "/updateStrategy/type"),
    ({"tolerations": {}}, "/tolerations"),
    ({"watchPods": "no"}, "/watchPods"),
]


def render(values):
    """The manifests for these values, in the order in which Helm installs them; and the notes."""
    with helm_python.Chart.load(str(CHART)) as chart:
        files = chart.render(values, name="berth", namespace="kube-system")
    files = {pathlib.Path(name).name: text.strip() + "\n" for name, text in files.items()}
    notes = files.pop("NOTES.txt")
    order = ["serviceaccount.yaml", "clusterrole.yaml", "daemonset.yaml"]
    rendered = [files.pop(name) for name in order] + list(files.values())
    return "---\n".join(text for text in rendered if text.strip()), notes


def objects(manifests):
    return [document for document in yaml.safe_load_all(manifests) if document]


def expect(condition, words):
    if not condition:
        sys.exit(f"check-deploy: {words}")


def check_schema(manifests):
    """Every object against the schemas of the API, unknown fields refused."""
    for version in KUBERNETES:
        for document in objects(manifests):
            kubernetes_validate.validate(document, version, strict=True)


def check_mistakes():
    for values, named in MISTAKES:
        try:
            render(values)
        except helm_python.HelmError as error:
            expect(named in str(error), f"{values}: {error} does not name {named}")
        else:
            sys.exit(f"check-deploy: {values} is accepted")


def settings(berthd):
    """berthd's variables with their defaults, as its help lists them."""
    text = subprocess.run([berthd, "--help"], check=True, capture_output=True, text=True).stdout
    text = text[text.index("Variables ("):]
    found = {}
    for line in text.splitlines():
        names, _, rest = line.removeprefix("  ").partition("  ")
        default = re.search(r"\[([^\]]*)\]$", rest)
        for name in names.split(", "):
            if re.fullmatch("[A-Z][A-Za-z0-9_]+", name):
                found[name] = default.group(1) if default else ""
    expect(len(found) > 15, f"the help was not understood: {found}")
    return found


def check_pod(manifests, known):
    """What the containers are given is what berthd asks for: its variables, and its paths mounted."""
    daemon_set = next(document for document in objects(manifests) if document["kind"] == "DaemonSet")
    pod = daemon_set["spec"]["template"]["spec"]
    volumes = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"]}
    [install], [berthd] = pod["initContainers"], pod["containers"]
    for container in (install, berthd):
        for variable in container.get("env", []):
            expect(variable["name"] in known, f"{variable['name']} is no variable of berthd")
    env = {variable["name"]: variable.get("value") for variable in berthd["env"]}

    def mounted(container, path):
        """The host's path behind a path of the container, and whether it can be written."""
        for mount in container["volumeMounts"]:
            if pathlib.PurePath(path).is_relative_to(mount["mountPath"]):
                rest = pathlib.PurePath(path).relative_to(mount["mountPath"])
                return str(pathlib.PurePath(volumes[mount["name"]]) / rest), not mount.get("readOnly", False)
        sys.exit(f"check-deploy: {path} is not mounted in {container['name']}")

    # The plugin runs on the host: it must see socket and tombstones under the same names.
    for name in ("BERTH_SOCKET", "BERTH_TOMBSTONES", "AWS_VPC_K8S_CNI_BACKING_STORE"):
        expect(mounted(berthd, known[name]) == (known[name], True), f"{name} is elsewhere on the host")
    for container, name, path, written in [
        (install, "HOST_CNI_BIN_PATH", "/opt/cni/bin", True),
        (berthd, "HOST_CNI_BIN_PATH", "/opt/cni/bin", False),
        (berthd, "HOST_CNI_CONFDIR_PATH", "/etc/cni/net.d", True),
    ]:
        expect(mounted(container, known[name]) == (path, written), f"{name} in {container['name']}")
    expect(mounted(berthd, known["BERTH_CNI_RESULTS"]) == (known["BERTH_CNI_RESULTS"], False), "the result cache")
    expect(mounted(berthd, "/run/netns") == ("/run/netns", False), "the sandboxes' namespaces")
    sysctls = mounted(berthd, env["BERTH_PROC_ROOT"] + "/sys")
    expect(sysctls == ("/proc/sys", True), f"sysctls are at {sysctls}")


def check_role(manifests, watches):
    """berthd may read pods and nodes and nothing else, and only if it is to; then it knows its node and has its token."""
    by_kind = {document["kind"]: document for document in objects(manifests)}
    pod = by_kind["DaemonSet"]["spec"]["template"]["spec"]
    [berthd] = pod["containers"]
    named = any(variable["name"] == "MY_NODE_NAME" for variable in berthd["env"])
    expect(named == watches, "MY_NODE_NAME")
    expect(pod["automountServiceAccountToken"] == watches, "the service account's token")
    expect(("ClusterRole" in by_kind, "ClusterRoleBinding" in by_kind) == (watches, watches), "the role")
    if not watches:
        return
    rules = [{"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}]
    expect(by_kind["ClusterRole"]["rules"] == rules, "the role permits something else")
    binding, account = by_kind["ClusterRoleBinding"], by_kind["ServiceAccount"]["metadata"]
    expect(binding["roleRef"]["name"] == by_kind["ClusterRole"]["metadata"]["name"], "the binding's role")
    subject = {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}
    expect(binding["subjects"] == [subject], "the binding's subject")
    expect(pod["serviceAccountName"] == account["name"], "the DaemonSet's service account")


def check(berthd):
    manifests, notes = render({})
    expect(MANIFESTS.read_text() == HEADER + manifests, "deploy/berth.yaml is not the chart's: run `make manifests`")
    lint = helm_python.lint(str(CHART))
    serious = [message for message in lint["messages"] if message["severity"] > 1]
    expect(not serious and not lint["errors"], f"helm lint: {serious} {lint['errors']}")
    expect("05-berth.conflist" in notes and "{{" not in notes, "the notes are not rendered")
    known = settings(berthd)
    check_pod(manifests, known)
    check_schema(manifests)
    check_role(manifests, True)
    blind, _ = render({"watchPods": False})
    check_pod(blind, known)
    check_schema(blind)
    check_role(blind, False)
    everything, _ = render(EVERYTHING)
    check_pod(everything, known)
    check_schema(everything)
    check_mistakes()
    print(f"check-deploy: chart and manifests are sound ({helm_python.helm_sdk_version()}, schemas {KUBERNETES})")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["render"]:
            print(HEADER + render({})[0], end="")
        case ["check", berthd]:
            check(berthd)
        case _:
            sys.exit(__doc__)
