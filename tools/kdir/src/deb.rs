// SPDX-License-Identifier: GPL-2.0
//! Makes a Debian package of a folder's Rust metadata: with it, `make -C /lib/modules/VERSION/build`
//! and DKMS build Rust modules, as if the headers had shipped the metadata.

use crate::config::Config;
use crate::prepare::{prepare, Options, PROVED};
use crate::version::SourceVersion;
use anyhow::{bail, Context, Result};
use std::fs::{self, Permissions};
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Run when the package is installed. The headers' `scripts` belong to `linux-kbuild`, which all
/// flavours of a version share: so the package adds links there, of which the first one stays.
const POSTINST: &str = r#"#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
headers=/usr/src/linux-headers-@RELEASE@ own=/usr/lib/linux-lib-rust-@RELEASE@
fail() {
	echo "linux-lib-rust-@RELEASE@: $*: make this package again with rmmap-kdir" >&2
	exit 1
}
echo "@SYMVERS@  $headers/Module.symvers" | sha256sum --check --status ||
	fail "linux-headers-@RELEASE@ are of another build of this kernel"
for file in "$own"/scripts/*; do
	to=$headers/scripts/${file##*/}
	[ -e "$to" ] || ln -sf "$file" "$to"
	cmp -s "$file" "$to" || fail "$to differs from $file"
done
"#;

/// Run before the package is removed: removes its links, or points them to another flavour's files.
const PRERM: &str = r#"#!/bin/sh
set -e
own=/usr/lib/linux-lib-rust-@RELEASE@
for file in "$own"/scripts/*; do
	name=${file##*/} to=/usr/src/linux-headers-@RELEASE@/scripts/${file##*/}
	[ "$(readlink "$to")" = "$file" ] || continue
	rm "$to"
	for other in /usr/lib/linux-lib-rust-@VERSION@-*/scripts/"$name"; do
		[ ! -e "$other" ] || [ "$other" = "$file" ] || { ln -s "$other" "$to" && break; }
	done
done
"#;

/// Makes `linux-lib-rust-RELEASE_VERSION_ARCH.deb` of the folder `kdir` in `out`. Returns its path.
pub fn make(kdir: &Path, out: &Path) -> Result<PathBuf> {
    if !kdir.join(PROVED).exists() {
        bail!(
            "{} is no complete folder: make it with `rmmap-kdir prepare --kernel VERSION --out DIR`",
            kdir.display()
        );
    }
    let release = release(&read(&kdir.join("include/generated/utsrelease.h"))?)?;
    let config = Config::read(&kdir.join(".config"))?;
    let version = SourceVersion::of_release(&release)?;
    let architecture = line_of(Command::new("dpkg").arg("--print-architecture"))?;
    let symvers = line_of(Command::new("sha256sum").arg(kdir.join("Module.symvers")))?;

    let tree = out.join(format!("linux-lib-rust-{release}.part"));
    if tree.exists() {
        fs::remove_dir_all(&tree).with_context(|| format!("cannot empty {}", tree.display()))?;
    }
    let own = PathBuf::from(format!("usr/lib/linux-lib-rust-{release}"));
    let headers = format!("usr/src/linux-headers-{release}");
    for folder in [
        "DEBIAN".as_ref(),
        headers.as_ref(),
        own.join("scripts").as_path(),
    ] {
        fs::create_dir_all(tree.join(folder))?;
    }
    copy(&kdir.join("rust"), &tree.join(&own).join("rust"), |name| {
        name.ends_with(".rmeta") || name.ends_with(".so")
    })?;
    // Macros of the kernel crate include them.
    let generated = |name: &str| name.starts_with("generated_") && name.ends_with(".rs");
    copy(
        &kdir.join("rust/kernel"),
        &tree.join(&own).join("rust/kernel"),
        generated,
    )?;
    let scripts = tree.join(&own).join("scripts");
    // What linux-kbuild lacks: DKMS packages call rust_is_available.sh.
    copy(&kdir.join("source/scripts"), &scripts, |name| {
        name.starts_with("rust_is_available") && !name.ends_with(".py")
            || name == "min-tool-version.sh"
    })?;
    copy(&kdir.join("scripts"), &scripts, |name| {
        name == "target.json"
    })?;
    symlink(
        Path::new("/").join(&own).join("rust"),
        tree.join(&headers).join("rust"),
    )?;

    let common = release.split('-').next().unwrap_or_default();
    let fill = |text: &str| {
        text.replace("@RELEASE@", &release)
            .replace("@VERSION@", common)
            .replace("@SYMVERS@", symvers.split(' ').next().unwrap_or_default())
    };
    let control = tree.join("DEBIAN");
    let rustc = rustc_dependency(config.get("CONFIG_RUSTC_VERSION_TEXT").unwrap_or_default())?;
    let maintainer = std::env::var("DEBEMAIL").unwrap_or_else(|_| "root@localhost".into());
    fs::write(
        control.join("control"),
        format!(
            "Package: linux-lib-rust-{release}\nVersion: {version}\nArchitecture: {architecture}\n\
             Maintainer: rmmap-kdir <{maintainer}>\nSection: kernel\nPriority: optional\n\
             Depends: linux-headers-{release}, {rustc}\n\
             Description: Rust metadata of the kernel {release}\n \
             The compiled Rust crates of this kernel, which its headers lack. With them\n \
             /lib/modules/{release}/build builds modules in Rust, by make and by DKMS.\n"
        ),
    )?;
    for (name, text) in [("postinst", POSTINST), ("prerm", PRERM)] {
        fs::write(control.join(name), fill(text))?;
        fs::set_permissions(control.join(name), Permissions::from_mode(0o755))?;
    }
    let deb = out.join(format!(
        "linux-lib-rust-{release}_{version}_{architecture}.deb"
    ));
    // The fastest level makes a sixth more than the default and takes an eighth of its time.
    let mut build = Command::new("dpkg-deb");
    build.args(["-Zxz", "-z1", "--root-owner-group", "--build"]);
    line_of(build.arg(&tree).arg(&deb))?;
    fs::remove_dir_all(&tree)?;
    Ok(deb)
}

/// Makes the metadata of a kernel and puts it where the package would. It is for hooks of the kernel's
/// packages, which run while dpkg is busy and takes no other package.
pub fn install(release: &str, jobs: usize) -> Result<()> {
    let headers = format!("/usr/src/linux-headers-{release}");
    if Path::new(&headers).join("rust").exists() {
        return Ok(());
    }
    let work = PathBuf::from(format!("/var/tmp/rmmap-kdir-{release}"));
    let options = Options::installed(release, work.join("kdir"), jobs);
    prepare(&options)?;
    let deb = make(&options.out, &work)?;
    let control = work.join("control");
    line_of(Command::new("dpkg-deb").arg("-x").arg(&deb).arg("/"))?;
    line_of(Command::new("dpkg-deb").arg("-e").arg(&deb).arg(&control))?;
    line_of(Command::new(control.join("postinst")).arg("configure"))?;
    let own = PathBuf::from(format!("/usr/lib/linux-lib-rust-{release}"));
    fs::copy(control.join("prerm"), own.join("remove"))?;
    fs::remove_dir_all(work)?;
    Ok(())
}

/// Copies the files of folder `from` whose names `is_wanted`; there must be one.
fn copy(from: &Path, to: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<()> {
    fs::create_dir_all(to)?;
    let mut copied = 0;
    for entry in fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&is_wanted) {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
            copied += 1;
        }
    }
    if copied == 0 {
        bail!("{} lacks files that the package needs", from.display());
    }
    Ok(())
}

/// Returns the release in the text of `utsrelease.h`.
fn release(header: &str) -> Result<String> {
    let quoted = header.split('"').nth(1);
    Ok(quoted
        .context("utsrelease.h has no UTS_RELEASE")?
        .to_owned())
}

/// Returns the dependency on the compiler in `CONFIG_RUSTC_VERSION_TEXT`: rustc reads no metadata of
/// another version.
fn rustc_dependency(text: &str) -> Result<String> {
    let version = text.split(' ').nth(1).unwrap_or_default();
    let Some((series, patch)) = version.rsplit_once('.') else {
        bail!("CONFIG_RUSTC_VERSION_TEXT is `{text}`, which names no version of rustc");
    };
    let next = patch.parse::<u32>().context("the version of rustc")? + 1;
    Ok(format!("rustc (>= {version}), rustc (<< {series}.{next}~)"))
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Runs a command and returns its output, without the end of the line.
fn line_of(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot run {program}: the package needs Debian's tools"))?;
    if !output.status.success() {
        bail!(
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_kernels_compiler_satisfies_the_package() {
        let found = rustc_dependency("rustc 1.85.9 (4eb161250 2025-03-15)").unwrap();
        assert_eq!(found, "rustc (>= 1.85.9), rustc (<< 1.85.10~)");
        assert!(rustc_dependency("").is_err());
    }

    #[test]
    fn incomplete_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = make(dir.path(), dir.path()).unwrap_err().to_string();
        assert!(error.contains("no complete folder"), "{error}");
    }

    #[test]
    fn package_has_the_metadata_and_no_object() {
        let dir = tempfile::tempdir().unwrap();
        let kdir = dir.path().join("kdir");
        for name in [
            PROVED,
            "Module.symvers",
            "rust/libkernel.rmeta",
            "rust/kernel.o",
            "rust/kernel/generated_arch_warn_asm.rs",
            "scripts/target.json",
            "source/scripts/rust_is_available.sh",
            "source/scripts/other.sh",
        ] {
            fs::create_dir_all(kdir.join(name).parent().unwrap()).unwrap();
            fs::write(kdir.join(name), "").unwrap();
        }
        fs::create_dir_all(kdir.join("include/generated")).unwrap();
        let header = "#define UTS_RELEASE \"7.3.4+test-amd64\"\n";
        fs::write(kdir.join("include/generated/utsrelease.h"), header).unwrap();
        let config = "CONFIG_RUSTC_VERSION_TEXT=\"rustc 1.85.1 (x)\"\n";
        fs::write(kdir.join(".config"), config).unwrap();

        let deb = make(&kdir, dir.path()).unwrap();
        let all = line_of(Command::new("dpkg-deb").arg("--contents").arg(&deb)).unwrap();
        let mut files: Vec<_> = all
            .lines()
            .filter(|line| !line.ends_with('/'))
            .filter_map(|line| line.split_once(" ./").map(|(_, name)| name))
            .collect();
        files.sort_unstable();
        let own = "usr/lib/linux-lib-rust-7.3.4+test-amd64";
        assert_eq!(
            files,
            [
                format!("{own}/rust/kernel/generated_arch_warn_asm.rs"),
                format!("{own}/rust/libkernel.rmeta"),
                format!("{own}/scripts/rust_is_available.sh"),
                format!("{own}/scripts/target.json"),
                format!("usr/src/linux-headers-7.3.4+test-amd64/rust -> /{own}/rust"),
            ]
        );
    }
}
