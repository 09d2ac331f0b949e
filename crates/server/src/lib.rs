//! The HTTP surface: routes, access check, limits, the error page.
