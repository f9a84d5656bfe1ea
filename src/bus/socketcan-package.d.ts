// The package is optional: the sources must compile where it cannot be installed.
declare module 'socketcan';
