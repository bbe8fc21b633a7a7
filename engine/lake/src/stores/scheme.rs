//! Schemes of locations, and the one form of a location that the lake works with.

use url::Url;

use crate::error::{Error, Result};

/// What speaks behind a location's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StoreKind {
    S3,
    Azure,
    Gcs,
}

impl StoreKind {
    pub const ALL: [StoreKind; 3] = [StoreKind::S3, StoreKind::Azure, StoreKind::Gcs];

    /// The store of a location's scheme; `None` for paths of this machine and for unknown schemes.
    pub fn of(location: &Url) -> Option<StoreKind> {
        StoreKind::of_scheme(location.scheme())
    }

    pub fn of_scheme(scheme: &str) -> Option<StoreKind> {
        match scheme {
            "s3" | "s3a" => Some(StoreKind::S3),
            "az" | "abfs" | "abfss" => Some(StoreKind::Azure),
            "gs" => Some(StoreKind::Gcs),
            _ => None,
        }
    }

    /// As `CREATE SECRET (TYPE ...)` has it, which is also the feature's name.
    pub fn name(self) -> &'static str {
        match self {
            StoreKind::S3 => "s3",
            StoreKind::Azure => "azure",
            StoreKind::Gcs => "gcs",
        }
    }

    pub fn parse(name: &str) -> Option<StoreKind> {
        StoreKind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Where a scope of this kind may begin.
    pub fn schemes(self) -> &'static [&'static str] {
        match self {
            StoreKind::S3 => &["s3://", "s3a://"],
            StoreKind::Azure => &["az://", "abfs://", "abfss://"],
            StoreKind::Gcs => &["gs://"],
        }
    }

    pub(super) fn check_built(self) -> Result<()> {
        let built = match self {
            StoreKind::S3 => cfg!(feature = "s3"),
            StoreKind::Azure => cfg!(feature = "azure"),
            StoreKind::Gcs => cfg!(feature = "gcs"),
        };
        match built {
            true => Ok(()),
            false => {
                Err(Error::UnsupportedFeature { name: format!("{} (this program was built without it)", self.name()) })
            }
        }
    }
}

/// `location` as the lake knows it: one slash at its end, no query, and of `abfss://container@account.host/` the
/// container as the first label of the host. DataFusion tells stores apart by scheme and host alone, and two containers
/// of one account are two stores.
pub(crate) fn canonical(location: &Url) -> Result<Url> {
    let kind = StoreKind::of(location).ok_or_else(|| unknown(location))?;
    kind.check_built()?;
    let host = location.host_str().filter(|host| !host.is_empty()).ok_or_else(|| malformed(location))?;
    let host = match (kind, location.username()) {
        (_, "") => host.to_owned(),
        (StoreKind::Azure, container) if !container.contains('.') => format!("{container}.{host}"),
        _ => return Err(malformed(location)),
    };
    let misplaced = location.password().is_some() || location.port().is_some() || location.query().is_some();
    if misplaced || location.fragment().is_some() {
        return Err(malformed(location));
    }
    let path: Vec<&str> = location.path().split('/').filter(|part| !part.is_empty()).collect();
    let slash = if path.is_empty() { "" } else { "/" };
    let text = format!("{}://{host}/{}{slash}", location.scheme(), path.join("/"));
    Url::parse(&text).map_err(|_| malformed(location))
}

/// A secret's scope as locations are compared with it; empty for all locations of a kind.
///
/// # Errors
/// [`Error::InvalidOption`] when it is no URL of that kind.
pub fn scope(kind: StoreKind, text: &str) -> Result<String> {
    if kind.schemes().contains(&text) {
        return Ok(String::new());
    }
    let invalid = || Error::InvalidOption {
        message: format!("a scope of type {} begins with {}", kind.name(), kind.schemes().join(" or ")),
    };
    let url = Url::parse(text).map_err(|_| invalid())?;
    if StoreKind::of(&url) != Some(kind) {
        return Err(invalid());
    }
    Ok(canonical(&url).map_err(|_| invalid())?.as_str().trim_end_matches('/').to_owned())
}

/// The bucket, or `container` or `container.account.host`, of a location.
pub(super) fn bucket_name(location: &Url) -> Option<&str> {
    location.host_str().filter(|host| !host.is_empty())
}

pub(super) fn unknown(location: &Url) -> Error {
    Error::UnsupportedFeature { name: format!("locations of scheme {}", location.scheme()) }
}

/// Without what stands before the host or behind the path: people put passwords and tokens there.
pub(super) fn malformed(location: &Url) -> Error {
    let shown = format!("{}://{}{}", location.scheme(), location.host_str().unwrap_or_default(), location.path());
    Error::InvalidDefinition { message: format!("invalid location \"{shown}\"") }
}
