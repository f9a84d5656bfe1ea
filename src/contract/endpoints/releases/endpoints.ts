// The endpoints of releases and of the image repository.

import { imageMetadata } from './image-metadata.ts';
import { target } from './target.ts';
import { uploadImage } from './upload-image.ts';
import { uploadMetadata } from './upload-metadata.ts';
import { uploadedImage } from './uploaded-image.ts';

export const RELEASE_ENDPOINTS = [
  imageMetadata,
  target,
  uploadMetadata,
  uploadImage,
  uploadedImage,
] as const;
